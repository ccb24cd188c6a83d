"""Checks the metadata and texts of a memory, and brings tags and people into the form that is stored."""

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, parse_list
from server.models.base import JSON, JsonObject
from server.text.characters import has_lone_surrogate
from server.text.json_text import LONE_SURROGATE

METADATA_BYTES = 16_384
METADATA_KEYS = 64
METADATA_DEPTH = 32
CONTENT_LENGTH = 10_000
USER_ID_LENGTH = 200

INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode categories of invisible characters: controls, format characters, separators."""

BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10))))
"""Invisible characters of other categories: fillers, empty Braille, variation selectors."""

DESCRIPTION = (
    "`tags` and `people_mentioned` (comma text or lists), `topic_category`, and any JSON of your own: "
    f"at most {METADATA_KEYS} keys and {METADATA_BYTES // 1024} KB"
)

# The JSON text of a NUL character; an even number of backslashes before it is literal text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def parse_metadata(value: object) -> JsonObject:
    """Validate metadata, and return it as it was sent. Raises ValueError with a reason for the caller."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")
    if len(value) > METADATA_KEYS:
        raise ValueError(f"must have at most {METADATA_KEYS} keys")
    _require_storable(value)
    for key in (TAGS, PEOPLE):
        _require_list(key, value.get(key))
    if not isinstance(value.get(CATEGORY), str | None):
        raise ValueError(f"{CATEGORY} must be text")
    return {**value}


def is_blank(text: str) -> bool:
    """Return whether the text has nothing that people see: it is empty, blank or invisible."""
    return all(unicodedata.category(character) in INVISIBLE or character in BLANK_LETTERS for character in text)


def require_text(text: str) -> str:
    """Return the text. Raises ValueError, with a reason for the caller.

    It must not be blank, nor contain a NUL or a lone surrogate, which no database stores.
    """
    if is_blank(text):
        raise ValueError("must not be blank")
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    if has_lone_surrogate(text):
        raise ValueError(LONE_SURROGATE)
    return text


def require_content(text: str) -> str:
    """Return the text of one message. Raises ValueError as `require_text` does, and if it is too long."""
    if len(text) > CONTENT_LENGTH:
        raise ValueError(
            f"has {len(text):,} characters, and a memory or message holds at most {CONTENT_LENGTH:,}: "
            "split it into several"
        )
    return require_text(text)


def parse_metadata_or_none(value: object) -> JsonObject | None:
    """Like `parse_metadata`, but None stays None."""
    return None if value is None else parse_metadata(value)


_TAG_LIST_SCHEMA: JsonObject = {"type": ["string", "array", "null"], "items": {"type": "string"}}
_SCHEMA: JsonObject = {
    "type": "object",
    "maxProperties": METADATA_KEYS,
    "properties": {TAGS: _TAG_LIST_SCHEMA, PEOPLE: _TAG_LIST_SCHEMA, CATEGORY: {"type": ["string", "null"]}},
    "additionalProperties": True,
}
if TYPE_CHECKING:  # parse_metadata checks the value; pydantic would check each part of the recursive type
    Metadata = JsonObject
    MetadataOrNone = JsonObject | None
else:
    Metadata = Annotated[dict, PlainValidator(parse_metadata), WithJsonSchema(_SCHEMA)]
    MetadataOrNone = Annotated[dict | None, PlainValidator(parse_metadata_or_none)]
Content = Annotated[
    str,
    AfterValidator(require_content),
    Field(json_schema_extra={"minLength": 1, "maxLength": CONTENT_LENGTH}),
]
UserId = Annotated[str, StringConstraints(min_length=1, max_length=USER_ID_LENGTH), AfterValidator(require_text)]


def _require_storable(details: JsonObject) -> None:
    """Raises ValueError if the metadata is too large or too deep, or is not JSON that both databases can store."""
    try:
        text = json.dumps(details, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
        depth = _depth(details)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("must be JSON without NaN, Infinity or lone surrogates") from None
    if depth > METADATA_DEPTH:
        raise ValueError(f"must not be nested deeper than {METADATA_DEPTH}")
    if size > METADATA_BYTES:
        raise ValueError(f"must be at most {METADATA_BYTES // 1024} KB")
    if _NUL.search(text):
        raise ValueError("must not contain a NUL character")


def _depth(value: JSON) -> int:
    """Return the levels of nesting; 1 for a plain value."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 1


def _require_list(key: str, value: object) -> None:
    """Raises ValueError, naming the key, unless the value is a valid list of tags or people."""
    try:
        parse_list(value)
    except ValueError as reason:
        raise ValueError(f"{key} {reason}") from None
