"""Equal texts of one user: a search shows the newest of them, and how many others there are."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.models import Memory


class TextKey(NamedTuple):
    """What equal texts have in common."""

    content_hash: str
    user_id: str | None


class Equals(NamedTuple):
    """The newest memory with a text, and how many others have it too."""

    newest_id: str
    others: int


MOST_SCANNED = 10_000
"""Memories that are looked at for the newest different texts."""


def key_of(memory: Memory) -> TextKey:
    return TextKey(memory.content_hash, memory.user_id)


def equals_of(
    session: Session, matching: Sequence[sa.ColumnElement[bool]], keys: Iterable[TextKey]
) -> dict[TextKey, Equals]:
    """Return the keys that several of the `matching` memories have."""
    hashes = {key.content_hash for key in keys}
    columns = (col(Memory.content_hash), col(Memory.user_id))
    query = (
        sa.select(*columns, sa.func.max(col(Memory.id)), sa.func.count())
        .where(*matching, col(Memory.content_hash).in_(hashes))
        .group_by(*columns)
        .having(sa.func.count() > 1)
    )
    return {TextKey(row[0], row[1]): Equals(row[2], row[3] - 1) for row in session.execute(query)} if hashes else {}


def newest_ids(session: Session, matching: Sequence[sa.ColumnElement[bool]], limit: int) -> list[str]:
    """Return the newest `matching` memories, newest first, each text once."""
    query = (
        sa.select(col(Memory.id), col(Memory.content_hash), col(Memory.user_id))
        .where(*matching)
        .order_by(col(Memory.id).desc())
        .limit(MOST_SCANNED)
        .execution_options(yield_per=4 * limit)
    )
    newest: dict[TextKey, str] = {}
    with session.execute(query) as rows:
        for memory_id, content_hash, user_id in rows:
            newest.setdefault(TextKey(content_hash, user_id), memory_id)
            if len(newest) == limit:
                break
    return list(newest.values())
