"""What comes in over the wire, at every door: the bytes of a body, and the model made of what they say."""

from math import isfinite
from typing import TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from server.errors import Invalid, TooLarge, Unsupported
from server.runtime import State

Model = TypeVar("Model", bound=BaseModel)
FORM = "application/x-www-form-urlencoded"
NUL_IN_FORM = "A form field holds a NUL character, which cannot be stored."
UNSTORABLE = "NUL characters and infinite numbers cannot be stored"
PATH_LENGTH = 200
"""Of a path in a sentence: keys are the caller's."""


def require_json(request: Request[State]) -> None:
    """Raises Unsupported unless the body says that it is JSON, and not compressed."""
    if media_type(request) != "application/json":
        raise Unsupported
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unsupported("Send the body as it is, without Content-Encoding.")


async def read_body(request: Request[State], limit: int) -> bytes:
    """At most `limit` bytes; one that announces more is refused before anything is read. Raises TooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise TooLarge(f"The body is larger than {limit // 1000} KB.")
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise TooLarge(f"The body is larger than {limit // 1000} KB.")
    return bytes(chunks)


async def read_form(request: Request[State], limit: int, most_fields: int) -> dict[str, list[str]]:
    """Return the values of each field of a form-encoded body, in order.

    Raises Unsupported for another media type, TooLarge over `limit` bytes, Invalid for what is not UTF-8, has more
    than `most_fields` fields or holds a NUL character.
    """
    body = await read_body(request, limit)
    if body and media_type(request) != FORM:
        raise Unsupported(f"Send the form as {FORM}.")
    return form_fields(body, most_fields)


def form_fields(body: bytes, most_fields: int) -> dict[str, list[str]]:
    """Return the values of each field. Raises Invalid as `read_form` does."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=most_fields)
    except ValueError:
        raise Invalid(f"The form must be UTF-8 text with at most {most_fields} fields.") from None
    if is_unstorable(list(fields.items())):
        raise Invalid(NUL_IN_FORM)
    return fields


def media_type(request: Request[State]) -> str:
    """Return the body's media type in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def validated(model: type[Model], value: object) -> Model:
    """Raises Invalid with one sentence: which field, and why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> Invalid:
    """Return the first problem that pydantic found, with the path of its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    reason = REASONS.get(first["type"], first["msg"].removeprefix("Value error, ").rstrip("."))
    why = reason.format_map(first.get("ctx", {})) if first["type"] in REASONS else reason
    if not where:
        return Invalid("The body must be a JSON object." if first["type"] == "model_type" else f"{why}.")
    return Invalid(f"{why}.", field=where)


REASONS = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "must be text without half a character",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "does not have the right form",
    "list_type": "must be a list",
    "too_short": "must have {min_length} or more items",
    "too_long": "must have at most {max_length} items",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
}
"""What a caller reads where pydantic would speak to a programmer."""


def require_storable(value: object) -> None:
    """Raises Invalid, naming the field."""
    if is_unstorable(value):
        where = ".".join(map(str, _path_to_unstorable(value) or ()))[:PATH_LENGTH]
        raise Invalid(f"{UNSTORABLE}.", field=where or None)


def is_unstorable(value: object) -> bool:
    """NUL (Postgres refuses it) or a number too large for a double (JSON cannot say it back), however deep."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            waiting += part
        elif (isinstance(part, str) and "\0" in part) or (isinstance(part, float) and not isfinite(part)):
            return True
    return False


def _path_to_unstorable(value: object) -> list[object] | None:
    """The keys on the way to the first part that cannot be stored; a key that cannot be is not among them."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        return [] if is_unstorable(value) else None
    for key, part in parts:
        if is_unstorable(key):
            return []
        if (path := _path_to_unstorable(part)) is not None:
            return [key, *path]
    return None
