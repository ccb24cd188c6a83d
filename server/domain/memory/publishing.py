"""Moves the staged lines of an import into its project, one chunk per transaction."""

from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.exchange.lines import Line, memory_of, versions_of
from server.domain.memory.rows import embedded
from server.domain.memory.source import source_of_import
from server.domain.memory.storing import insert
from server.index.types import Embedded
from server.index.words.tokenizer import indexed_terms
from server.models import Import, Memory, StagedMemory, User
from server.models.stored_size import size_of_memory

PUBLISHED_LINES = 32
PUBLISHED_PIECES = 128
"""How many pieces to publish at a time, so that a transaction takes less than 0.1 s. One memory may have more."""

LONG_LENGTH = 50_000
"""Chunks with more characters are tokenized before the transaction, because a megabyte takes 0.1 s."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Staged lines that follow each other, with their vectors."""

    staged: list[StagedMemory]
    lines: list[Line]
    embedded: list[Embedded]

    @property
    def is_long(self) -> bool:
        return sum(len(line.content) for line in self.lines) > LONG_LENGTH

    def with_terms(self) -> "Chunk":
        """Return the chunk with the terms that the word index stores. Needs no transaction."""
        pairs = zip(self.lines, self.embedded, strict=True)
        return replace(self, embedded=[replace(result, terms=indexed_terms(line.content)) for line, result in pairs])


def next_chunk(session: Session, import_id: str) -> Chunk | None:
    """Return the next lines of the import, None after the last."""
    query = sa.select(StagedMemory).where(col(StagedMemory.import_id) == import_id)
    staged: list[StagedMemory] = []
    pieces = 0
    for memory in session.scalars(query.order_by(col(StagedMemory.position)).limit(PUBLISHED_LINES)):
        pieces += len(memory.spans)
        if staged and pieces > PUBLISHED_PIECES:
            break
        staged.append(memory)
    if not staged:
        return None
    lines = [Line.model_validate_json(memory.line) for memory in staged]
    vectors = [embedded(memory.embedding_model, memory.spans, memory.vectors) for memory in staged]
    return Chunk(staged, lines, vectors)


def is_next(session: Session, chunk: Chunk) -> bool:
    """Return whether the chunk still has the first staged line of its import."""
    first = chunk.staged[0]
    positions = sa.select(sa.func.min(StagedMemory.position)).where(col(StagedMemory.import_id) == first.import_id)
    return session.scalar(positions) == first.position


def store(session: Session, row: Import, chunk: Chunk) -> None:
    """Store the chunk's memories with their earlier versions, and delete its staged lines."""
    author = row.created_by and session.scalar(sa.select(col(User.id)).where(col(User.id) == row.created_by))
    memories = [_memory_of(staged, line, row, author) for staged, line in zip(chunk.staged, chunk.lines, strict=True)]
    row.memory_count -= len(memories)
    row.memory_bytes -= sum(map(size_of_memory, memories))
    insert(session, row.project_id, memories, chunk.embedded)
    for memory, line in zip(memories, chunk.lines, strict=True):
        session.add_all(versions_of(line, memory.number, row.id))
    last = chunk.staged[-1].position
    session.execute(
        sa.delete(StagedMemory).where(col(StagedMemory.import_id) == row.id, col(StagedMemory.position) <= last)
    )


def _memory_of(staged: StagedMemory, line: Line, row: Import, author: str | None) -> Memory:
    memory = memory_of(line, row.project_id)
    memory.id = staged.memory_id or memory.id
    memory.created_by = memory.updated_by = author
    memory.set_source(row.source or source_of_import(row.id, line.source))
    return memory
