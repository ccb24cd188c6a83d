"""Embeds texts and stores new memories with everything that is derived from them, a portion at a time."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session

from server.domain.memory import labels
from server.index import Index, outbox
from server.index.pieces import PACKED_LENGTH, lead_from
from server.index.types import Embedded
from server.models import Memory, metadata
from server.models.base import JsonObject
from server.storage.database import paused
from server.storage.statements import Query, as_json, numbers_in, values_of

MOST_ITEMS = 32

PUBLISHED_WEIGHT = 64
"""How much to publish at a time, unless a single memory weighs more."""

LONG_WEIGHT = 128
"""Above this weight, one memory takes several transactions, so that none takes more than 0.1 s: see `publish`."""

STAGED_WEIGHT = 256
"""The weight to stage at a time. A single memory may weigh more."""

T = TypeVar("T")

HISTORY_LENGTH = 10_000
"""How many characters of a history take as long to write as a piece with its vector and words."""

_memories = metadata.tables["memories"]
_INSERT = Query(sa.insert(_memories).returning(_memories.c.number, sort_by_parameter_order=True))
_DELETE = Query(sa.delete(_memories).where(_memories.c.number.in_(numbers_in("numbers"))))


def insert(session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
    """Store new memories, with their labels, vectors and words, and set their numbers. They belong to no session."""
    outbox.memories_counted(session, project_id, memories, embedded)
    rows = _INSERT.returned(session, [values_of(memory) for memory in memories])
    for memory, row in zip(memories, rows, strict=True):
        memory.number = row[0]
    labels.write(session, memories)
    outbox.memories_added(session, project_id, memories, embedded)


def without_words(content: str, embedded: Embedded) -> Embedded:
    """Return what to store first: everything, or all but the words of a long text."""
    return replace(embedded, terms=()) if weight_of(content, len(embedded.spans)) > LONG_WEIGHT else embedded


def is_long(memory: Memory) -> bool:
    """Return whether the memory takes several transactions."""
    return weight_of(memory.content, memory.piece_count) > LONG_WEIGHT


def remove(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Delete memories, with everything that belongs to them."""
    if numbers:
        remove_part(session, project_id, numbers)
        outbox.request_purge(session, project_id)


def remove_part(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Delete some memories of a long deletion. It requests the purge only at its end, because each purge may rewrite
    all words. Flushes the session first.
    """
    session.flush()
    outbox.memories_removed(session, project_id, numbers)
    _DELETE.rows(session, numbers=as_json(numbers))


def embed(session: Session, index: Index, texts: Sequence[tuple[str, str]]) -> list[Embedded]:
    """Return the vectors of each (text, lead).

    Pauses the transaction unless the vectors are known: call it where `paused` may be called.
    """
    embedded = index.ready(texts)
    if embedded is not None:
        return embedded
    with paused(session):
        return index.embed(texts)


def embedding_input(content: str, details: JsonObject) -> tuple[str, str]:
    """Return the text to embed, and the lead that goes in front of its pieces."""
    return content, lead_from(content, details)


def hash_content(content: str) -> str:
    """Return SHA-256 as 64 hexadecimal digits. Surrounding whitespace makes no difference."""
    return hashlib.sha256(content.strip().encode()).hexdigest()


def weight_of(content: str, pieces: int = 0, history_length: int = 0) -> int:
    """Return roughly how much work writing a memory takes: its number of pieces, or an estimate if it has few."""
    return max(pieces, len(content) // PACKED_LENGTH) + history_length // HISTORY_LENGTH


def portions(items: Iterable[T], weigh: Callable[[T], int], most_weight: int) -> Iterator[list[T]]:
    """Yield the items in order, at most `MOST_ITEMS` at a time, and fewer if they are heavy."""
    portion: list[T] = []
    total = 0
    for item in items:
        weight = weigh(item)
        total += weight
        if portion and (total > most_weight or len(portion) == MOST_ITEMS):
            yield portion
            portion, total = [], weight
        portion.append(item)
    if portion:
        yield portion
