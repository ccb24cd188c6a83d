"""Turns rows into JSON, column by column, so that a row can leave its table and come back unchanged."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlmodel import SQLModel

from server.index.types import UNEMBEDDED, Embedded
from server.models.base import JsonObject, Utc
from server.models.sources import Source, SourceColumn

Row = TypeVar("Row", bound=SQLModel)

FOLLOWS = frozenset({"number", "memory_number", "revision", "piece_count", "embedding_model"})
"""The columns that get new values when the row is restored."""


def written(row: SQLModel) -> JsonObject:
    """Return all columns of the row except those that depend on its place (`FOLLOWS`)."""
    names = sa.inspect(type(row)).column_attrs.keys()
    return {name: _as_json(getattr(row, name)) for name in names if name not in FOLLOWS}


def read(table: type[Row], values: JsonObject) -> Row:
    """Return a new row with these values. Columns that were added since then get their defaults."""
    attributes = sa.inspect(table).column_attrs
    return table(**{name: _from_json(attributes[name].columns[0].type, value) for name, value in values.items()})


def embedded(model: str, spans: list[list[int]], vectors: bytes) -> Embedded:
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
