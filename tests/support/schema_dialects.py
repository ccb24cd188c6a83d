"""Converts tools to the forms that three vendors' APIs accept, and checks each vendor's published rules.

No client converts the schemas of `tools/list` more than this, and some client drops a schema that needs more.
"""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

Tool = dict[str, Any]
Schema = dict[str, Any]

GEMINI_TYPES = {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"}
GEMINI_KEYS = {"type", "format", "title", "description", "nullable", "enum", "properties", "required", "items"}
GEMINI_KEYS |= {"minimum", "maximum", "minItems", "maxItems", "propertyOrdering"}
STRICT_KEYS = {"type", "description", "enum", "properties", "required", "items", "additionalProperties"}
STRICT_KEYS |= {"minimum", "maximum", "pattern", "format", "minItems", "maxItems"}


def positions(schema: Schema) -> Iterator[Schema]:
    """Yield the schema and all schemas in it."""
    yield schema
    for part in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from positions(part)


def gemini(tool: Tool) -> Tool:
    """Return the function declaration: the same schema, with Gemini's own type names."""

    def converted(schema: Schema) -> Schema:
        changed = {**schema, "type": str(schema["type"]).upper()}
        if "items" in schema:
            changed["items"] = converted(schema["items"])
        if "properties" in schema:
            changed["properties"] = {name: converted(part) for name, part in schema["properties"].items()}
        return changed

    return {"name": tool["name"], "description": tool["description"], "parameters": converted(tool["inputSchema"])}


def gemini_refuses(declaration: Tool) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", declaration["name"]):
        yield "name"
    for schema in positions(declaration["parameters"]):
        if schema["type"] not in GEMINI_TYPES or not schema.keys() <= GEMINI_KEYS:
            yield f"{schema}: unknown keys or type"
        if schema["type"] == "OBJECT" and not schema.get("properties"):
            yield f"{schema}: properties should be non-empty for OBJECT type"
        if schema["type"] == "ARRAY" and "items" not in schema:
            yield f"{schema}: missing items"
        if not set(schema.get("required", ())) <= set(schema.get("properties", ())):
            yield f"{schema}: a required property is not defined"
        if "enum" in schema and schema["type"] != "STRING":
            yield f"{schema}: only strings have enums"


def openai_strict(tool: Tool) -> Tool:
    """Return the function with `strict`: every object closed, every property required, and null for optional ones."""

    def converted(schema: Schema) -> Schema:
        changed = dict(schema)
        if "items" in schema:
            changed["items"] = converted(schema["items"])
        if schema["type"] == "object":
            parts = {name: converted(part) for name, part in schema.get("properties", {}).items()}
            for name in parts.keys() - set(schema.get("required", ())):
                parts[name]["type"] = [parts[name]["type"], "null"]
            changed |= {"properties": parts, "required": list(parts), "additionalProperties": False}
        return changed

    parameters = converted(tool["inputSchema"])
    return {"name": tool["name"], "description": tool["description"], "strict": True, "parameters": parameters}


def openai_refuses(function: Tool) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function["name"]) or len(function["description"]) > 1024:
        yield "name or description"
    for schema in positions(function["parameters"]):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not schema.keys() <= STRICT_KEYS:
            yield f"{schema}: keys that strict mode does not permit"
        if "object" in kinds:
            if schema.get("additionalProperties") is not False:
                yield f"{schema}: additionalProperties is required to be false"
            if schema.get("required") != list(schema.get("properties", {})):
                yield f"{schema}: required has to name every property"
        if "array" in kinds and "items" not in schema:
            yield f"{schema}: array schema missing items"


def anthropic(tool: Tool) -> Tool:
    return {"name": tool["name"], "description": tool["description"], "input_schema": tool["inputSchema"]}


def anthropic_refuses(tool: Tool) -> Iterator[str]:
    schema = tool["input_schema"]
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool["name"]):
        yield "name"
    if schema.get("type") != "object" or schema.keys() & {"oneOf", "allOf", "anyOf"}:
        yield "input_schema: type should be object, without oneOf, allOf or anyOf at the top level"
    if not all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for part in positions(schema) for name in names_of(part)):
        yield "property keys should match pattern"
    yield from (str(error) for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))


def names_of(schema: Schema) -> list[str]:
    return list(schema.get("properties", {}))
