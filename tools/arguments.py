"""Reads a tool's arguments as models write them, according to the tool's input schema.

Every tool uses `read_arguments`, so that all of them accept the same variants: null for an argument that
is left out, a list as comma text or JSON text, an object as JSON text, a number or a boolean as text.
"""

import json
import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from server.domain.memory.labels import COMMAS, LONGEST_TEXT, MOST_VALUES, between_commas, list_in, require_short
from server.errors import Invalid
from server.text.characters import has_lone_surrogate
from server.text.json_text import LONE_SURROGATE
from server.text.spelling import nearest, shortened
from server.web.wire import require_storable

NOTHING = ("null", "none", "undefined")
"""What models write for an optional argument that they leave out, in upper or lower case."""

NUMBER = re.compile(r"[+-]?(?=\.?[0-9])[0-9]{0,300}(?P<rest>(\.[0-9]*)?(e[+-]?[0-9]{1,3})?)", re.IGNORECASE)
"""A number as text, such as 5, 0.5, .5 or 5e-1."""

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")

FROM_CLIENTS = {
    *("toolCallId", "sessionId", "chatInput", "action"),  # n8n
    *("task_progress", "wait_for_previous", "security_context"),  # Cline, Gemini CLI, CrewAI
}
"""Arguments that clients add to calls for themselves. Models cannot leave them out."""

WRAPPERS = {"arguments", "params", "parameters", "args", "input", "kwargs"}
"""Names under which some clients and models wrap all arguments once more."""

TOOL_NAMES = {"name", "tool", "tool_name", "function"}
"""Names under which some models write the tool once more, beside its arguments."""

CHOSEN = {"projectid", "project", "organizationid", "userid", "user", "agentid", "runid", "workspace"}
"""Arguments that choose a user or project in other services, as `_plain` writes them. Here the credential does."""


def read_arguments(tool: str, schema: Mapping[str, Any], arguments: Mapping[str, Any] | None) -> dict[str, object]:
    """Return the arguments that the caller gave, converted to the schema's types.

    Null means left out. For an optional argument, blank text and the words of `NOTHING` mean the same, and so does a
    limit of 0. So does an empty list or object for an argument that the tool does not have. Names may be written in
    another case, as some clients rewrite them: `createdAt` is `created_at`.

    Raises Invalid, which names an argument that cannot be read, that occurs twice or that the tool does not have.
    """
    properties, required = schema["properties"], schema.get("required", ())
    names = {_plain(name): name for name in properties}
    values: dict[str, object] = {}
    for written, value in _unwrapped(tool, arguments or {}).items():
        name = names.get(_plain(written), written)
        if name not in required and _is_nothing(value):
            continue
        if name not in properties:
            if value in ({}, []):
                continue
            raise Invalid(_unknown(tool, name, properties))
        if name in values:
            raise Invalid(f"give {name} only once.", field=shortened(written))
        read = _read(name, properties[name], value)
        if read is not None or name in required:
            values[name] = read
    require_storable(values)
    return values


def _unwrapped(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the model wrote and is not null, or the arguments inside the only argument if that is a wrapper.

    Models that write a whole call as the arguments repeat the name of the tool, which says nothing new.
    """
    written = {
        name: value
        for name, value in arguments.items()
        if value is not None and name not in FROM_CLIENTS and not (name in TOOL_NAMES and _names(value, tool))
    }
    match [*written.items()]:
        case [(name, inner)] if name in WRAPPERS and isinstance(wrapped := _object_in(inner), dict):
            return _unwrapped(tool, wrapped)
    return written


def _names(value: object, tool: str) -> bool:
    """Return whether the value is the tool's name, with or without the prefix of a client."""
    return isinstance(value, str) and (value == tool or value.endswith(f"_{tool}"))


def _plain(name: str) -> str:
    """Return the name without its separators and its case."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def _is_nothing(value: object) -> bool:
    return isinstance(value, str) and value.strip().casefold() in ("", *NOTHING)


def _read(name: str, schema: Mapping[str, Any], value: object) -> object:
    """Return the value in the schema's type, or None if it means that the argument was left out."""
    try:
        match schema["type"]:
            case "integer":
                number = _whole_number(value)
                return None if number == 0 and name == "limit" else number
            case "number":
                return _number(value)
            case "boolean":
                return _boolean(value)
            case "array":
                return _texts(value)
            case "object":
                return _object(value)
            case _:
                return _text(value)
    except ValueError as reason:
        raise Invalid(f"{reason}.", field=name) from None


def _text(value: object) -> str:
    if isinstance(value, str):
        if has_lone_surrogate(value):  # escapes in JSON can produce a lone surrogate
            raise ValueError(LONE_SURROGATE)
        return value
    if type(value) is int or (type(value) is float and isfinite(value)):
        return json.dumps(value)
    raise ValueError("must be text")


def _number(value: object, kind: str = "a number") -> int | float:
    if isinstance(value, str) and (written := NUMBER.fullmatch(value.strip())):
        return float(value) if written["rest"] else int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be {kind}")


def _whole_number(value: object) -> int:
    number = _number(value, "a whole number")
    if isinstance(number, float) and not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def _boolean(value: object) -> bool:
    word = str(value).strip().casefold()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise ValueError("must be true or false")


def _texts(value: object) -> list[str] | None:
    """Return the items of a list, or of text that lists them. None if no item remains."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        value = list_in(value[0]) or value
    if isinstance(value, str):
        value = _parse_list(value)
    if not isinstance(value, list) or any(isinstance(item, dict | list | bool) for item in value):
        raise ValueError("must be comma-separated text or a list of strings")
    if len(value) > MOST_VALUES:
        raise ValueError(f"must have at most {MOST_VALUES} items")
    items = [_text(item).strip() for item in value if item is not None and not _is_nothing(item)]
    return items if items or not value else None


def _parse_list(text: str) -> list[Any]:
    """Return the items of `list_in`, of other text in brackets, or of `between_commas`. Raises ValueError."""
    items = list_in(text)
    if items is not None:
        return items
    inner = text.strip()
    if inner.startswith("[") and inner.endswith("]"):
        return [item.strip().strip("'\"") for item in COMMAS.split(inner[1:-1])]
    return [*between_commas(inner)]


def _object(value: object) -> dict[str, Any]:
    value = _object_in(require_short(value) if isinstance(value, str) else value)
    if value == []:  # as PHP writes an empty object
        return {}
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    return value


def _object_in(value: object) -> object:
    """Return the value of JSON text, or None for other and for long text. Return any other value unchanged."""
    for _ in range(2):  # some clients encode an object twice
        if isinstance(value, str):
            value = _parse_json(value) if len(value) <= LONGEST_TEXT else None
    return value


def _parse_json(text: str) -> object:
    """Return the value of JSON text, or None."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unknown(tool: str, name: str, names: Iterable[str]) -> str:
    """Return the error message for an argument that the tool does not have."""
    label = shortened(name)
    available = f"Known arguments: {', '.join(names)}."
    if _plain(name) in CHOSEN:
        return f"{label} is not an argument of {tool}: your credential decides whose memories these are. {available}"
    suggestion = nearest(name, names)
    return f"{label} is not an argument of {tool}{f'; did you mean {suggestion}?' if suggestion else '.'} {available}"
