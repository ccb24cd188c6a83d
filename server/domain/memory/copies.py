"""Copies a memory out of its tables, with its versions and vectors, and stores a copy again: from the trash, or in
another project. Rows are copied as JSON, column by column.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.domain.memory.storing import insert, without_words
from server.index.types import UNEMBEDDED, Embedded
from server.models import Memory, MemoryVersion, Piece
from server.models.base import JsonObject, Utc
from server.models.sources import Source, SourceColumn
from server.storage.statements import Query, columns_of, detached

Row = TypeVar("Row", bound=SQLModel)

FOLLOWS = frozenset({"number", "memory_number", "revision", "piece_count", "embedding_model"})
"""The columns that get new values when the row is restored."""


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
        memory=_written(memory),
        versions=[_written(version) for version in versions],
        spans=[[start, end] for start, end, _ in pieces],
        embedding_model=memory.embedding_model,
        vectors=b"".join(vector for _, _, vector in pieces),
    )


def store(session: Session, project_id: str, copy: MemoryCopy) -> Memory:
    """Store the memory in the project, with its id and its versions, but without the words of a long text."""
    memory = read_row(Memory, copy.memory)
    memory.project_id = project_id
    versions = [read_row(MemoryVersion, version) for version in copy.versions]
    result = read_vectors(copy.embedding_model, copy.spans, copy.vectors)
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


def _written(row: SQLModel) -> JsonObject:
    """Return all columns of the row except those that depend on its place (`FOLLOWS`)."""
    names = sa.inspect(type(row)).column_attrs.keys()
    return {name: _as_json(getattr(row, name)) for name in names if name not in FOLLOWS}


def read_row(table: type[Row], values: JsonObject) -> Row:
    """Return a new row with these values. Columns that were added since then get their defaults."""
    attributes = sa.inspect(table).column_attrs
    return table(**{name: _from_json(attributes[name].columns[0].type, value) for name, value in values.items()})


def read_vectors(model: str, spans: list[list[int]], vectors: bytes) -> Embedded:
    """Return the stored vectors of a text."""
    if not model:
        return UNEMBEDDED
    array = np.frombuffer(vectors, "<f4").reshape(len(spans), -1).astype(np.float32, copy=False)
    return Embedded(model, tuple((start, end) for start, end in spans), array)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return asdict(value) if isinstance(value, Source) else value


def _from_json(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Utc):
        return datetime.fromisoformat(value)
    return Source(**value) if isinstance(kind, SourceColumn) else value
