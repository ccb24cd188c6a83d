"""Moves the staged lines of an import into its project, one portion per transaction.

A long memory takes three: one stores it, one deletes its staged row, and one writes its words, which can take as long
as the other two. A small row marks the memory as stored, so that a crash or another process in between does no harm.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory import histories
from server.domain.memory.budget import ROWS_PER_READ
from server.domain.memory.copies import read_vectors
from server.domain.memory.exchange.lines import Line, memory_of, versions_of
from server.domain.memory.source import source_of_import
from server.domain.memory.storing import LONG_WEIGHT, PUBLISHED_WEIGHT, insert, portions, weight_of
from server.index.types import Embedded
from server.index.words import word_index
from server.index.words.titles import words_beside
from server.models import Import, Memory, StagedMemory
from server.models.base import JsonObject, now
from server.models.imports import HISTORY, STORED
from server.models.stored_size import size_of_memory


class Staged(NamedTuple):
    """A line of an import with its vectors, and the memory that it becomes. `position` is its place in the import."""

    position: int
    line: Line
    memory: Memory
    embedded: Embedded

    @staticmethod
    def of(row: StagedMemory) -> "Staged":
        line = Line.model_validate_json(row.line)
        memory = memory_of(line)
        memory.id = row.memory_id or memory.id
        return Staged(row.position, line, memory, read_vectors(row.embedding_model, row.spans, row.vectors))

    @property
    def weight(self) -> int:
        return weight_of(self.line.content, len(self.embedded.spans), histories.length_of(self.line.history))


class Wordless(NamedTuple):
    """A memory that is stored but still lacks its words. `position` is the position of the row that marks it."""

    position: int
    memory_id: str
    content_hash: str


def wordless(session: Session, import_id: str) -> Wordless | None:
    """Return the memory of the import that lacks its words."""
    columns = (col(StagedMemory.position), col(StagedMemory.memory_id), col(StagedMemory.content_hash))
    rows = (col(StagedMemory.import_id) == import_id, col(StagedMemory.position) < 0)
    row = session.execute(sa.select(*columns).where(*rows)).first()
    return Wordless(*row) if row else None


def next_entries(session: Session, import_id: str) -> list[Staged]:
    """Return the next lines of the import, none after the last."""
    query = sa.select(StagedMemory).where(col(StagedMemory.import_id) == import_id)
    query = query.order_by(col(StagedMemory.position)).execution_options(yield_per=ROWS_PER_READ)
    with session.scalars(query) as rows:
        entries = map(Staged.of, takewhile(lambda row: row.content_hash != HISTORY, rows))
        return next(portions(entries, lambda entry: entry.weight, PUBLISHED_WEIGHT), [])


def is_long(entries: Sequence[Staged]) -> bool:
    """Return whether this memory takes several transactions."""
    return entries[0].weight > LONG_WEIGHT


def are_next(session: Session, import_id: str, entries: Sequence[Staged]) -> bool:
    """Return whether the import still begins with these lines."""
    positions = sa.select(sa.func.min(StagedMemory.position)).where(col(StagedMemory.import_id) == import_id)
    return session.scalar(positions) == entries[0].position


def store(session: Session, row: Import, entries: Sequence[Staged]) -> None:
    """Store the memories with their earlier versions. Delete their staged rows, except that of a long memory."""
    memories = [entry.memory for entry in entries]
    for entry in entries:
        entry.memory.project_id = row.project_id
        entry.memory.created_by = entry.memory.updated_by = row.created_by
        entry.memory.set_source(row.source or source_of_import(row.id, entry.line.source))
    terms = () if is_long(entries) else None
    results = [replace(entry.embedded, terms=terms) for entry in entries]
    row.memory_count -= len(memories)
    row.memory_bytes -= sum(map(size_of_memory, memories))
    insert(session, row.project_id, memories, results)
    for memory, entry in zip(memories, entries, strict=True):
        session.add_all(versions_of(entry.line, memory.number, row.id))
    if is_long(entries):
        mark_stored(session, row.id, entries[0].position, memories[0])
    else:
        unstage(session, row.id, 0, entries[-1].position)


def text_of(session: Session, row: Wordless) -> tuple[str, JsonObject] | None:
    """Return the memory's text and metadata, or None if the memory was deleted or its text has changed since it was
    stored.
    """
    found = session.execute(sa.select(col(Memory.content), col(Memory.details)).where(*_is_same(row))).first()
    return found and (found[0], found[1])


def write_words(session: Session, import_id: str, row: Wordless, beside: str, terms: Sequence[str]) -> None:
    """Write the words of the memory, unless its text has changed since it was stored, or its names or labels have: then
    another import owes them.
    """
    query = sa.select(col(Memory.project_id), col(Memory.number), col(Memory.details)).where(*_is_same(row))
    for project_id, number, details in session.execute(query.with_for_update()):
        if words_beside(details) == beside:
            word_index.rewrite_words(session, project_id, number, terms)
    unstage(session, import_id, row.position, row.position)


def _is_same(row: Wordless) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions for the memory, with the text with which it was stored."""
    return col(Memory.id) == row.memory_id, col(Memory.content_hash) == row.content_hash


def unstage(session: Session, import_id: str, first: int, last: int) -> bool:
    """Delete the staged rows at these positions. Return whether there were any."""
    rows = (col(StagedMemory.import_id) == import_id, col(StagedMemory.position).between(first, last))
    deleted = sa.delete(StagedMemory).where(*rows).returning(col(StagedMemory.position))
    return bool(session.scalars(deleted).all())


def owe_words(session: Session, memory: Memory) -> str:
    """Begin an import that is committed and only has to write the words of this stored memory. Return its id."""
    row = Import(project_id=memory.project_id, committed_at=now())
    session.add(row)
    session.flush()
    mark_stored(session, row.id, 0, memory)
    return row.id


def mark_stored(session: Session, import_id: str, position: int, memory: Memory) -> None:
    """Note that the staged memory at this position is stored, except for its words."""
    session.add(
        StagedMemory(
            import_id=import_id,
            position=-1 - position,
            memory_id=memory.id,
            line=STORED,
            content_hash=memory.content_hash,
        )
    )
