"""A memory's metadata and texts: what may be stored, and the form in which tags and people are kept."""

import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, PlainValidator, StringConstraints, WithJsonSchema

from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, parse_list
from server.models.base import JSON, JsonObject

METADATA_BYTES = 16_384
METADATA_KEYS = 64
METADATA_DEPTH = 32
CONTENT_LENGTH = 10_000
USER_ID_LENGTH = 200

DESCRIPTION = (
    "`tags` and `people_mentioned` (comma text or lists), `topic_category`, and any JSON of your own: "
    f"at most {METADATA_KEYS} keys and {METADATA_BYTES // 1024} KB"
)

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def parse_metadata(given: object) -> JsonObject:
    """Metadata as it is kept: lists of tags and people as comma text, everything else as it was sent.

    Raises ValueError with a reason to show.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError("must be a JSON object")
    if len(given) > METADATA_KEYS:
        raise ValueError(f"must have at most {METADATA_KEYS} keys")
    _check_storable(given)
    details: JsonObject = {**given}
    for key in (TAGS, PEOPLE):
        if key in given:
            details[key] = _comma_text(key, given[key])
    if not isinstance(given.get(CATEGORY), str | None):
        raise ValueError(f"{CATEGORY} must be text")
    return details


def require_text(text: str) -> str:
    """Text that says something and can be stored. Raises ValueError with a reason to show."""
    if not text.strip():
        raise ValueError("must not be blank")
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


_LISTED: JsonObject = {"type": ["string", "array", "null"], "items": {"type": "string"}}
_FORM: JsonObject = {
    "type": "object",
    "maxProperties": METADATA_KEYS,
    "properties": {TAGS: _LISTED, PEOPLE: _LISTED, CATEGORY: {"type": ["string", "null"]}},
    "additionalProperties": True,
}
if TYPE_CHECKING:  # pydantic would build the recursive type from its parts; it is checked here as a whole
    Metadata = JsonObject
else:
    Metadata = Annotated[dict, PlainValidator(parse_metadata), WithJsonSchema(_FORM)]
Content = Annotated[str, StringConstraints(min_length=1, max_length=CONTENT_LENGTH), AfterValidator(require_text)]
UserId = Annotated[str, StringConstraints(min_length=1, max_length=USER_ID_LENGTH), AfterValidator(require_text)]


def _check_storable(given: JsonObject) -> None:
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size, deep = len(text.encode()), _depth(given) > METADATA_DEPTH
    except (ValueError, TypeError, RecursionError):
        raise ValueError("must be JSON without NaN, Infinity or half a character") from None
    if deep:
        raise ValueError(f"must not be nested deeper than {METADATA_DEPTH}")
    if size > METADATA_BYTES:
        raise ValueError(f"must be at most {METADATA_BYTES // 1024} KB")
    if _NUL.search(text):
        raise ValueError("must not contain a NUL character")


def _depth(value: JSON) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, parts), default=0)


def _comma_text(key: str, given: object) -> str | None:
    try:
        values = parse_list(given)
    except ValueError as reason:
        raise ValueError(f"{key} {reason}") from None
    return ",".join(values) if isinstance(given, list | tuple) else given if isinstance(given, str) else None
