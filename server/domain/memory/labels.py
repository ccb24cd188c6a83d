"""Labels: the tags, people, category and metadata of a memory, in the form that filters compare."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated

import sqlalchemy as sa
from pydantic import BeforeValidator
from sqlmodel import Session

from server.models import Memory, metadata
from server.models.base import JSON, JsonObject
from server.models.memories import LabelKind

TAGS = "tags"
PEOPLE = "people_mentioned"
CATEGORY = "topic_category"

MOST_VALUES = 100
"""The most tags, or people, of a memory or a filter."""

_MAX_LENGTH = 200
_table = metadata.tables["labels"]


def parse_list(value: object) -> tuple[str, ...]:
    """Return the values of comma-separated text, or of a list of such texts, stripped and without blank ones.

    None is an empty list. Raises ValueError, with a reason for the caller, for anything else.
    """
    parts = [value] if isinstance(value, str) else value
    if parts is None:
        return ()
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be comma text or a list of texts")
    values = tuple(item for part in parts for item in map(str.strip, part.split(",")) if item)
    if len(values) > MOST_VALUES:
        raise ValueError(f"must be at most {MOST_VALUES} values")
    return values


TagList = Annotated[tuple[str, ...], BeforeValidator(parse_list, json_schema_input_type=str | list[str] | None)]
"""Tags or people in a request: comma-separated text, or a list of texts."""


def write(session: Session, memories: Iterable[Memory]) -> None:
    """Store the labels of new memories. The memories must be flushed, so that they have numbers."""
    rows = [
        {"memory_number": memory.number, "kind": kind, "value": value, "project_id": memory.project_id}
        for memory in memories
        for kind, value in sorted(set(_labels_of(memory.details)))
    ]
    if rows:
        session.execute(sa.insert(_table), rows)


def replace(session: Session, memory: Memory) -> None:
    """Replace a memory's labels after its metadata changed."""
    session.execute(sa.delete(_table).where(_table.c.memory_number == memory.number))
    write(session, [memory])


def fold(value: str) -> str:
    """Return the form in which tags, people and categories are compared: NFKC, case-folded, single spaces.

    Text over 200 characters becomes its SHA-256.
    """
    text = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return text if len(text) <= _MAX_LENGTH else hashlib.sha256(text.encode()).hexdigest()


def hash_entry(key: str, value: JSON) -> str:
    """Return the form in which metadata entries are compared: a hash of their JSON. 1 equals 1.0, not true or "1"."""
    text = json.dumps([key, _with_whole_numbers(value)], ensure_ascii=False, sort_keys=True)
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
    """Return the value with 1.0 as 1, at any depth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_whole_numbers(part) for key, part in value.items()}
    return [_with_whole_numbers(part) for part in value] if isinstance(value, list) else value
