"""Chooses the rows that one transaction writes or deletes, so that other writers wait about 0.1 s at most."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Session

from server.models import metadata

TURN_SECONDS = 0.02
"""How long a transaction keeps deleting, not counting its last statement and its commit."""

MOST_MEMORIES = 50
"""Maximum number of memories that one statement deletes."""

MOST_PIECES = 500
"""Maximum number of their pieces together. A single memory may have more."""

MOST_ROWS = 100
"""Maximum number of rows of another table that one statement deletes."""

MOST_BYTES = 4_000_000
"""Maximum size of these rows together. A single row may have more."""

ROWS_PER_READ = 10
_memories = metadata.tables["memories"]

T = TypeVar("T")
Chosen = TypeVar("Chosen", bound=sa.Select[Any])


def locked(query: Chosen) -> Chosen:
    """Return the query with a lock on the memories that it selects, newest first. All writers who lock several use this
    order, so that no two wait for each other.
    """
    return query.order_by(_memories.c.id.desc()).with_for_update()


def next_numbers(session: Session, *matching: sa.ColumnElement[bool]) -> list[int]:
    """Return the numbers of the next matching memories to delete, newest first, and lock them."""
    columns = _memories.c
    query = locked(sa.select(columns.number, columns.piece_count).where(*matching))
    rows = session.execute(query.limit(MOST_MEMORIES))
    return [number for number, _ in first_of(rows, lambda row: row[1], MOST_PIECES)]


def next_keys(session: Session, table: sa.Table, *matching: sa.ColumnElement[bool]) -> list[tuple[object, ...]]:
    """Return the primary keys of the next matching rows to delete, as few as their size requires."""
    size = sum((_length(column) for column in table.c if isinstance(column.type, _LARGE)), sa.literal(0))
    query = sa.select(*table.primary_key, size).where(*matching).limit(MOST_ROWS)
    with session.execute(query, execution_options={"yield_per": ROWS_PER_READ}) as rows:
        return [tuple(row[:-1]) for row in first_of(rows, lambda row: row[-1], MOST_BYTES)]


def delete_keys(session: Session, table: sa.Table, keys: list[tuple[object, ...]]) -> int:
    """Delete the rows with these primary keys. Return how many there were."""
    is_chosen = sa.tuple_(*table.primary_key).in_(keys)
    return session.connection().execute(sa.delete(table).where(is_chosen)).rowcount if keys else 0


def delete_some(session: Session, table: sa.Table, *matching: sa.ColumnElement[bool]) -> bool:
    """Delete the next matching rows. Return whether there were any."""
    return delete_keys(session, table, next_keys(session, table, *matching)) > 0


def first_of(items: Iterable[T], weigh: Callable[[T], int], most: int) -> list[T]:
    """Return the first items that together weigh at most `most`, but at least one."""
    chosen: list[T] = []
    total = 0
    for item in items:
        total += weigh(item)
        if chosen and total > most:
            break
        chosen.append(item)
    return chosen


_LARGE = (sa.LargeBinary, sa.JSON, sa.Text)


def _length(column: sa.Column[object]) -> sa.ColumnElement[int]:
    value = column if isinstance(column.type, sa.LargeBinary) else sa.cast(column, sa.Text)
    return sa.func.coalesce(sa.func.length(value), 0)
