"""Labels: the whole values that a filter can ask a memory for, in the form in which they are compared."""

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
"""Tags, or people, of one memory or one filter."""

_LONGEST = 200
_labels = metadata.tables["labels"]


def parse_list(given: object) -> tuple[str, ...]:
    """The values of comma text or of a list of texts, without blank ones. Raises ValueError for anything else."""
    parts = [given] if isinstance(given, str) else given
    if parts is None:
        return ()
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be comma text or a list of texts")
    values = tuple(value for part in parts for value in map(str.strip, part.split(",")) if value)
    if len(values) > MOST_VALUES:
        raise ValueError(f"must be at most {MOST_VALUES} values")
    return values


TagList = Annotated[tuple[str, ...], BeforeValidator(parse_list, json_schema_input_type=str | list[str] | None)]
"""What a caller may send wherever tags or people are asked for: comma text or a list of texts."""


def write(session: Session, memories: Iterable[Memory]) -> None:
    """Write the labels of memories that have their numbers and no labels yet."""
    rows = [
        {"memory_number": memory.number, "kind": kind, "value": value, "project_id": memory.project_id}
        for memory in memories
        for kind, value in sorted(set(_values(memory.details)))
    ]
    if rows:
        session.execute(sa.insert(_labels), rows)


def replace(session: Session, memory: Memory) -> None:
    """Write the labels of a memory whose metadata is another now."""
    session.execute(sa.delete(_labels).where(_labels.c.memory_number == memory.number))
    write(session, [memory])


def fold(value: str) -> str:
    """A tag, person or category as it is compared: whatever its case, spacing or Unicode form; a hash when long."""
    text = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()


def hash_entry(key: str, value: JSON) -> str:
    """A metadata entry as it is compared: exactly, as JSON (1 is 1.0, but not true or "1")."""
    text = json.dumps([key, _plain(value)], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _values(details: JsonObject) -> Iterator[tuple[LabelKind, str]]:
    yield from _folded(LabelKind.TAG, parse_list(details.get(TAGS)))
    yield from _folded(LabelKind.PERSON, parse_list(details.get(PEOPLE)))
    category = details.get(CATEGORY)
    yield from _folded(LabelKind.CATEGORY, [category] if isinstance(category, str) else [])
    for key, value in details.items():
        yield LabelKind.METADATA, hash_entry(key, value)


def _folded(kind: LabelKind, values: Iterable[str]) -> Iterator[tuple[LabelKind, str]]:
    for value in map(fold, values):
        if value:
            yield kind, value


def _plain(value: JSON) -> JSON:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
