"""Reads and validates request bodies: bytes, forms and JSON values. Error messages are sentences for the caller."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import isfinite
from typing import TypeGuard, TypeVar, get_args
from urllib.parse import parse_qs

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from server.errors import Invalid, TooLarge, TooSlow, Unsupported
from server.shell.runtime import State
from server.text.reasons import reason_of
from server.text.spelling import field_of, names_of, not_a, wrong_name_hint
from server.web.forwarding import joined

Model = TypeVar("Model", bound=BaseModel)
WhenLarge = Callable[[], Awaitable[None]]
FORM = "application/x-www-form-urlencoded"
NUL_IN_FORM = "A form field contains a NUL character, which cannot be stored."
UNSTORABLE = "NUL characters and infinite numbers cannot be stored"
MOST_PARAMETERS = 1_000
SMALL_BODY = 100_000
"""Bodies up to this size take so little memory that any number of them may wait for the rest of it."""

BODY_SECONDS = 15.0
BODY_BYTES_PER_SECOND = 50_000
"""A body may take `BODY_SECONDS`, or longer if this many bytes arrive per second."""


def require_json(request: Request[State]) -> None:
    """Raises Unsupported unless the headers say JSON without compression. A PATCH may be a merge patch (RFC 7396)."""
    accepted = {"application/json"} | ({"application/merge-patch+json"} if request.method == "PATCH" else set())
    if not media_types(request) <= accepted:
        raise Unsupported
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unsupported("Send the body uncompressed, without Content-Encoding.")


async def read_body(request: Request[State], limit: int, when_large: WhenLarge | None = None) -> bytes:
    """Return the body. Raises TooLarge over `limit` bytes; a larger Content-Length is refused before reading.

    Awaits `when_large` once the body has more than `SMALL_BODY` bytes. Raises TooSlow for a slow body, because it keeps
    a slot and memory that others wait for.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise TooLarge(f"The body is larger than {limit // 1000} KB.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS) as allowed:
            due = allowed.when() or 0.0
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(f"The body is larger than {limit // 1000} KB.")
                if when_large and len(body) > SMALL_BODY:
                    allowed.reschedule(None)  # the wait for a slot has its own limit
                    await when_large()
                    when_large, due = None, asyncio.get_running_loop().time() + BODY_SECONDS
                    allowed.reschedule(due)
                if len(body) > BODY_BYTES_PER_SECOND:
                    allowed.reschedule(due + len(body) / BODY_BYTES_PER_SECOND)
    except TimeoutError:
        raise TooSlow from None
    return bytes(body)


async def read_form(request: Request[State], limit: int, most_fields: int) -> dict[str, list[str]]:
    """Return the values of each field of a form-encoded body, in order.

    Raises Unsupported for another media type, TooLarge over `limit` bytes, and Invalid for a body that is not UTF-8,
    has more than `most_fields` fields or holds a NUL character.
    """
    body = await read_body(request, limit)
    if body and FORM not in media_types(request):
        raise Unsupported(f"Send the form as {FORM}.")
    try:
        fields = parse_form(body.decode(), most_fields)
    except ValueError:
        raise Invalid(f"The form must be UTF-8 text with at most {most_fields} fields.") from None
    if is_unstorable(list(fields.items())):
        raise Invalid(NUL_IN_FORM)
    return fields


def parse_form(text: str, most_fields: int) -> dict[str, list[str]]:
    """Return the values of each field, empty ones too.

    Raises ValueError for escapes that are not UTF-8, and for more than `most_fields` fields.
    """
    return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=most_fields)


def parse_query(request: Request[State]) -> dict[str, list[str]]:
    """Return the values of each query parameter. Raises Invalid for bytes that are not UTF-8."""
    if not request.scope["query_string"]:
        return {}
    try:
        return parse_form(request.scope["query_string"].decode(), MOST_PARAMETERS)
    except ValueError:
        raise Invalid(f"The query string must be UTF-8 text with at most {MOST_PARAMETERS} parameters.") from None


def media_types(request: Request[State]) -> set[str]:
    """Return the body's media types in lower case, without parameters.

    A client or a proxy that sets the header a second time joins both values with a comma. The result is never empty.
    """
    values = joined(request.headers, "content-type").split(",")
    return {value.partition(";")[0].strip().lower() for value in values}


def validated(model: type[Model], value: object) -> Model:
    """Return `value` as `model`. Raises Invalid, which names the field and the reason."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error, model) from None


def invalid(error: ValidationError, model: type[BaseModel]) -> Invalid:
    """Return an Invalid for one of pydantic's problems: the first unknown name, or else the first problem."""
    problems = error.errors(include_url=False)
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    kind, field = first["type"], field_of(first["loc"])
    if kind == "extra_forbidden":
        return unknown_field(first["loc"], model)
    if kind == "model_type" and not field:
        return Invalid("The body must be a JSON object.")
    instead = ""
    if kind == "missing" and isinstance(first["input"], dict):
        instead = wrong_name_hint([str(first["loc"][-1])], first["input"])
    return Invalid(f"{reason_of(first)}{instead}.", field=field)


def unknown_field(path: Sequence[str | int], model: type[BaseModel]) -> Invalid:
    """Return the error for an unknown field, which suggests the nearest name and lists all of them."""
    names = names_of(_model_at(model, path[:-1]))
    known = f"Known fields: {', '.join(names)}." if names else "This request takes no fields."
    return Invalid(f"{not_a('field', str(path[-1]), names)} {known}", field=field_of(path))


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Return the model at the path inside `model`."""
    for part in path:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = next(kind for kind in (annotation, *get_args(annotation)) if is_model(kind))
    return model


def is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def require_storable(value: object) -> None:
    """Raises Invalid for a value that `is_unstorable`, with the path of the field."""
    if is_unstorable(value):
        raise Invalid(f"{UNSTORABLE}.", field=field_of(_path_to_unstorable(value) or ()))


def is_unstorable(value: object) -> bool:
    """Return whether the value holds, at any depth, a NUL, which Postgres refuses, or an infinite number, which JSON
    does not have.
    """
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


def _path_to_unstorable(value: object) -> list[str | int] | None:
    """Return the keys that lead to the first unstorable part, or None. An unstorable key is left out."""
    if isinstance(value, dict):
        parts: Iterable[tuple[str | int, object]] = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    else:
        return [] if is_unstorable(value) else None
    for key, part in parts:
        if is_unstorable(key):
            return []
        if (path := _path_to_unstorable(part)) is not None:
            return [key, *path]
    return None
