"""JSON Schemas that every client accepts: only types, descriptions and bounds, all of them inline.

Gemini, strict modes and small clients refuse `$ref`, unions, null, defaults and additional properties.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

KEPT = ("type", "description", "enum", "minimum", "maximum")


def flat_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the model's JSON Schema, reduced to what every client accepts."""
    schema = model.model_json_schema()
    return _flat({key: value for key, value in schema.items() if key != "description"}, schema.get("$defs", {}))


def _flat(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        schema = {**definitions[reference.rpartition("/")[2]], **schema}
    flat = {key: schema[key] for key in KEPT if key in schema}
    if "items" in schema:
        flat["items"] = _flat(schema["items"], definitions)
    if "properties" in schema:
        flat["properties"] = {name: _flat(part, definitions) for name, part in schema["properties"].items()}
        flat |= {"required": schema["required"]} if schema.get("required") else {}
    return flat
