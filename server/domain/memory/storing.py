"""Embeds texts and stores new memories with everything that is derived from them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlmodel import Session

from server.domain.memory import labels, portions
from server.index import Index, outbox
from server.index.pieces import lead_from
from server.index.types import Embedded
from server.models import Memory, metadata
from server.models.base import JsonObject
from server.storage.database import paused
from server.storage.statements import Query, as_json, numbers_in, values_of

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
    return replace(embedded, terms=()) if portions.is_long(content, len(embedded.spans)) else embedded


def is_long(memory: Memory) -> bool:
    """Return whether the memory takes several transactions."""
    return portions.is_long(memory.content, memory.piece_count)


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
