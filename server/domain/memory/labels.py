"""Labels: the tags, people, category and metadata of a memory, in the form that filters compare."""

import ast
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BeforeValidator
from sqlmodel import Session

from server.models import Memory, metadata
from server.models.base import JSON, JsonObject
from server.models.memories import LabelKind
from server.storage.statements import Query
from server.text import characters
from server.text.characters import has_lone_surrogate

TAGS = "tags"
PEOPLE = "people_mentioned"
CATEGORY = "topic_category"

MOST_VALUES = 100
"""Maximum number of tags or people of a memory or a filter."""

COMMAS = re.compile("[,\u060c\u3001\uff0c\uff64]")
"""The commas that people type: also the Arabic, the ideographic, the fullwidth and the halfwidth one."""

LONGEST_TEXT = 100_000
"""The longest text of a list or of an object, in characters. Splitting or parsing millions would stop all requests."""

_MAX_LENGTH = 200
_table = metadata.tables["labels"]
_INSERT = Query(sa.insert(_table))


def parse_list(value: object) -> tuple[str, ...]:
    """Return the values of a list, comma-separated text, or a list as JSON text, stripped and without blank ones.

    An item of a list keeps its commas. None is an empty list. Raises ValueError, with a reason for the caller, for
    anything else.
    """
    parts = _listed(value) if isinstance(value, str) else value
    if parts is None:
        return ()
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be comma-separated text or a list of strings")
    values = tuple(item for item in map(str.strip, parts) if item)
    if len(values) > MOST_VALUES:
        raise ValueError(f"must have at most {MOST_VALUES} values")
    if any("\0" in value or has_lone_surrogate(value) for value in values):  # the escapes of JSON text can produce both
        raise ValueError("must not contain NUL characters or lone surrogates")
    return values


def parse_repeated(value: object) -> tuple[str, ...]:
    """Return the values of a query parameter that may be repeated. Each repetition is text for `parse_list`."""
    return parse_list([item for text in value for item in parse_list(text)] if isinstance(value, list) else value)


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names without those that filters do not tell from an earlier one."""
    first = {fold(name): name for name in reversed(names)}
    return [name for name in names if first.pop(fold(name), None)]


def like(value: JSON, names: Sequence[str]) -> list[str] | str:
    """Return the names in the form of `value`: a list, or comma-separated text, which no name with a comma survives."""
    is_list = isinstance(value, list) or any(map(COMMAS.search, names))
    return list(names) if is_list else ", ".join(names)


def as_text(names: Sequence[str]) -> str:
    """Return the text that `parse_list` reads as these names: with commas between them, or JSON if one has a comma."""
    text = ", ".join(names)
    return text if parse_list(text) == tuple(names) else json.dumps(list(names), ensure_ascii=False)


def parse_labels(value: object) -> list[str] | str | None:
    """Validate labels, and return them as they were sent. Raises ValueError as `parse_list` does."""
    parse_list(value)
    return list(value) if isinstance(value, list | tuple) else str(value) if value is not None else None


def require_short(text: str) -> str:
    """Return text that holds values, if it is short enough to be parsed. Raises ValueError."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT:,} characters")
    return text


def _listed(text: str) -> Sequence[object]:
    """Return the texts and numbers of the list in `text`, or else of comma-separated text. Raises ValueError."""
    items = list_in(text)
    if items is None or not all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in items):
        return between_commas(text)
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def list_in(text: str) -> list[object] | None:
    """Return the list that the text holds: as JSON, as JSON in JSON text, or as Python writes a list of texts. Return
    None for other text. Raises ValueError for a long text.
    """
    written = require_short(text).strip()
    if not written.startswith(("[", '"[')):
        return None
    value = _parsed(json.loads, written)
    if isinstance(value, str):
        return list_in(value)
    if value is None and written.startswith(("['", '["')):
        value = _parsed(ast.literal_eval, written)
        return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
    return value if isinstance(value, list) else None


def between_commas(text: str) -> list[str]:
    """Return the items of comma-separated text. If all are in quotation marks, like a list without its brackets, they
    lose them and keep their commas. Raises ValueError for a long text.
    """
    written = text.strip()
    items = list_in(f"[{written}]") if written.startswith(("'", '"')) else None
    quoted = [item for item in items or () if isinstance(item, str)]
    return quoted if quoted and quoted == items else COMMAS.split(text)


def _parsed(parse: Callable[[str], object], text: str) -> object:
    """Return the value of the text, or None."""
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        return parse(text)
    return None


_SENT: Any = str | list[str] | None
TagList = Annotated[tuple[str, ...], BeforeValidator(parse_list, json_schema_input_type=_SENT)]
"""Tags or people in a request: a list of texts, comma-separated text, or a list as JSON text."""

RepeatedTagList = Annotated[tuple[str, ...], BeforeValidator(parse_repeated, json_schema_input_type=_SENT)]
"""Tags or people in a query string, where each repetition is such text."""

Labels = Annotated[list[str] | str, BeforeValidator(parse_labels, json_schema_input_type=_SENT)]
"""Tags or people of a memory, in the form in which they were sent."""


def write(session: Session, memories: Iterable[Memory]) -> None:
    """Store the labels of new memories. The memories must be flushed, so that they have numbers."""
    rows = [
        {"memory_number": memory.number, "kind": kind, "value": value, "project_id": memory.project_id}
        for memory in memories
        for kind, value in sorted(set(_labels_of(memory.details)))
    ]
    _INSERT.run(session, rows)


def replace(session: Session, memory: Memory) -> None:
    """Replace a memory's labels after its metadata changed."""
    session.execute(sa.delete(_table).where(_table.c.memory_number == memory.number))
    write(session, [memory])


def fold(value: str) -> str:
    """Return the form in which tags, people and categories are compared: `characters.as_seen`, or its SHA-256 if it has
    over 200 characters.
    """
    return _shortened(characters.as_seen(value))


def stored_forms(values: Iterable[str]) -> list[str]:
    """Return the forms in which memories may have these labels. Earlier versions hashed long ones with the apostrophes,
    dashes and invisible characters as they were sent.
    """
    return sorted({form for value in values for form in (fold(value), _shortened(characters.case_folded(value)))})


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else hashlib.sha256(text.encode()).hexdigest()


def hash_entry(key: str, value: JSON) -> str:
    """Return the form in which metadata entries are compared: a hash of their JSON. 1 equals 1.0, not true or "1".

    An accented letter equals its letter and accent. Lists of tags and people are compared as comma-separated text,
    because earlier versions stored them so.
    """
    return _hashed(characters.normalize("NFC", _entry_text(key, value)))


def stored_entries(key: str, value: JSON) -> list[str]:
    """Return the forms in which memories may have this entry. Earlier versions kept the accents as they were sent."""
    text = _entry_text(key, value)
    return sorted(map(_hashed, {text, characters.normalize("NFC", text), characters.normalize("NFD", text)}))


def _entry_text(key: str, value: JSON) -> str:
    if key in (TAGS, PEOPLE) and isinstance(value, list):
        value = ",".join(parse_list(value))
    return json.dumps([key, _with_whole_numbers(value)], ensure_ascii=False, sort_keys=True)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _labels_of(details: JsonObject) -> Iterator[tuple[LabelKind, str]]:
    yield from _folded_labels(LabelKind.TAG, parse_list(details.get(TAGS)))
    yield from _folded_labels(LabelKind.PERSON, parse_list(details.get(PEOPLE)))
    category = details.get(CATEGORY)
    yield from _folded_labels(LabelKind.CATEGORY, [category] if isinstance(category, str) else [])
    for key, value in details.items():
        yield LabelKind.METADATA, hash_entry(key, value)


def _folded_labels(kind: LabelKind, values: Iterable[str]) -> Iterator[tuple[LabelKind, str]]:
    for value in map(fold, values):
        if value:
            yield kind, value


def _with_whole_numbers(value: JSON) -> JSON:
    """Return the value with whole floats as integers (1.0 as 1), at any depth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_whole_numbers(part) for key, part in value.items()}
    return [_with_whole_numbers(part) for part in value] if isinstance(value, list) else value
