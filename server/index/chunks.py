"""Chooses the memories that one transaction deletes, so that other writers wait about 0.1 s at most."""

import sqlalchemy as sa
from sqlmodel import Session

from server.models import metadata

TURN_SECONDS = 0.02
"""How long a transaction keeps deleting, not counting its last statement and its commit."""

MOST_MEMORIES = 50
"""Maximum number of memories that one statement deletes."""

MOST_PIECES = 500
"""Maximum number of their pieces together. A single memory may have more."""

_memories = metadata.tables["memories"]


def next_numbers(session: Session, *matching: sa.ColumnElement[bool]) -> list[int]:
    """Return the numbers of the next matching memories to delete, newest first, and lock them.

    In this order, a memory is never deleted before the one that follows it and has its end as context.
    """
    columns = _memories.c
    query = sa.select(columns.number, columns.piece_count).where(*matching).order_by(columns.id.desc())
    numbers: list[int] = []
    pieces = 0
    for number, count in session.execute(query.limit(MOST_MEMORIES).with_for_update()):
        pieces += count
        if numbers and pieces > MOST_PIECES:
            break
        numbers.append(number)
    return numbers
