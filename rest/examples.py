"""Examples of bodies, derived from their schemas, and the curl command for each route."""

import json
import re
from typing import Any

from server.models.base import JSON, JsonObject

Described = dict[str, Any]
"""A part of the OpenAPI document."""

IDS = {
    "memory_id": "mem_…",
    "organization_id": "org_…",
    "project_id": "proj_…",
    "user_id": "user_…",
    "key_id": "key_…",
    "invitation_id": "inv_…",
    "notification_id": "ntf_…",
}
SAMPLES: dict[str, JSON] = {
    "messages": [{"role": "user", "content": "I have a meeting with Alice on Friday"}],
    "memories": [{"content": "I have a meeting with Alice on Friday"}],
    "query": "meetings with Alice",
    "semantic_query": "meetings",
    "temporal_query": "last_7_days",
    "tags": ["work"],
    "people": ["Alice"],
    "text": "The meeting with Alice is on Monday",
    "name": "Website",
    "email": "ben@example.com",
    "role": "viewer",
    "version": 1,
    "since": "2026-01-31T09:00:00Z",
    "dry_run": True,
    "new_owner_id": "user_…",
    "source_id": "key_…",
    **IDS,
}
FIRST_CHOICES = ("messages", "query", "text", "name", "tags")
"""For a body without required fields, the example holds the first of these fields that the body has."""

LONGEST_LINE = 90
_PATH_PARAMETER = re.compile(r"{(\w+)}")


def curl_of(method: str, path: str, operation: Described, base: str) -> str:
    """Return the command. Keys and ids in it end in `…`, so that people see what to fill in."""
    path = _PATH_PARAMETER.sub(lambda match: IDS.get(match[1], "…"), path)
    lines = [f"curl {base}{path}" if method == "get" else f"curl -X {method.upper()} {base}{path}"]
    if operation["security"]:
        is_session = operation["security"] == [{"session": []}]
        lines.append(f'-H "Authorization: {"Session …" if is_session else "Bearer sk_im_…"}"')
    body = operation.get("requestBody")
    if body is not None:
        example = body["content"]["application/json"]["example"]
        lines += ['-H "Content-Type: application/json"', f"-d '{json.dumps(example, ensure_ascii=False)}'"]
    one_line = " ".join(lines)
    return one_line if len(one_line) <= LONGEST_LINE else " \\\n  ".join(lines)


def example_of(schema: Described, schemas: Described) -> JSON:
    """Return a short value that fits the schema."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("const") is not None:
        value: JSON = schema["const"]
        return value
    if "enum" in schema:
        first: JSON = schema["enum"][0]
        return first
    if "properties" in schema:
        return _object(schema, schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)] if "items" in schema else []
    plain: dict[str, JSON] = {"string": "…", "integer": 1, "number": 0.5, "boolean": True, "object": {}}
    return plain.get(str(schema.get("type")))


def _object(schema: Described, schemas: Described) -> JsonObject:
    properties = schema["properties"]
    names = list(schema.get("required", ())) or [name for name in FIRST_CHOICES if name in properties][:1]
    return {name: _sample(name, properties[name], schemas) for name in names}


def _sample(name: str, schema: Described, schemas: Described) -> JSON:
    """Return a lifelike value if the field's name is in `SAMPLES` and its schema allows the value."""
    described = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    is_taken = name in SAMPLES and SAMPLES[name] in described.get("enum", [SAMPLES[name]])
    return SAMPLES[name] if is_taken else example_of(schema, schemas)
