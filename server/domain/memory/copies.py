"""Copies a memory out of its tables, with its versions and vectors, and stores a copy again: from the trash, or in
another project.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory import rows
from server.domain.memory.storing import insert, without_words
from server.models import Memory, MemoryVersion, Piece
from server.models.base import JsonObject
from server.storage.statements import Query, columns_of, detached


class MemoryCopy(NamedTuple):
    """The columns of a memory and of its earlier versions, and its vectors; `spans` are as in `Embedded`."""

    memory: JsonObject
    versions: list[JsonObject]
    spans: list[list[int]]
    embedding_model: str
    vectors: bytes


def copy_of(session: Session, memory: Memory) -> MemoryCopy:
    """Return a copy of the memory. Flushes the session first."""
    session.flush()
    pieces = _PIECES.rows(session, number=memory.number)
    versions = [detached(MemoryVersion, row) for row in _VERSIONS.rows(session, number=memory.number)]
    return MemoryCopy(
        memory=rows.written(memory),
        versions=[rows.written(version) for version in versions],
        spans=[[start, end] for start, end, _ in pieces],
        embedding_model=memory.embedding_model,
        vectors=b"".join(vector for _, _, vector in pieces),
    )


def store(session: Session, project_id: str, copy: MemoryCopy) -> Memory:
    """Store the memory in the project, with its id and its versions, but without the words of a long text."""
    memory = rows.read(Memory, copy.memory)
    memory.project_id = project_id
    versions = [rows.read(MemoryVersion, version) for version in copy.versions]
    result = rows.embedded(copy.embedding_model, copy.spans, copy.vectors)
    insert(session, project_id, [memory], [without_words(memory.content, result)])
    for version in versions:
        version.memory_number = memory.number
    session.add_all(versions)
    return memory


_PIECES = Query(  # without a table's class, because a long memory has thousands of pieces
    sa.select(col(Piece.start), col(Piece.end), col(Piece.vector))
    .where(col(Piece.memory_number) == sa.bindparam("number"))
    .order_by(col(Piece.position))
)
_VERSIONS = Query(
    sa.select(*columns_of(MemoryVersion)).where(col(MemoryVersion.memory_number) == sa.bindparam("number"))
)
