"""Folds equal texts of one user: a search shows only the newest, and how many others there are."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from server.domain.memory.filters import by_age
from server.models import Memory
from server.models.base import Utc, now
from server.models.memories import is_live
from server.storage.statements import Query, as_json, texts_in


class TextKey(NamedTuple):
    """The user and the hash that equal texts share."""

    content_hash: str
    user_id: str | None


class Equals(NamedTuple):
    """The newest memory with a text, and how many others have it too."""

    newest_id: str
    others: int


MOST_SCANNED = 10_000
"""How many memories to scan for the newest distinct texts."""


def key_of(memory: Memory) -> TextKey:
    return TextKey(memory.content_hash, memory.user_id)


def equals_of(
    session: Session, project_id: str, narrow: Sequence[sa.ColumnElement[bool]], keys: Iterable[TextKey]
) -> dict[TextKey, Equals]:
    """Return the keys that more than one live memory of the project has, among those that pass the filters."""
    hashes = {key.content_hash for key in keys}
    if not hashes:
        return {}
    rows = _EQUALS.rows(session, *narrow, project_id=project_id, moment=now(), hashes=as_json(hashes))
    return {TextKey(*row[:2]): Equals(row[2], row[3] - 1) for row in rows}


def with_text(project_id: str | sa.BindParameter[str], hashes: Sequence[str] | sa.Select[str]) -> sa.Select[int]:
    """Select the numbers of the project's memories with these texts. In a subquery, because otherwise SQLite might read
    all memories that another condition selects instead.
    """
    same = aliased(Memory)
    return sa.select(col(same.number)).where(col(same.project_id) == project_id, col(same.content_hash).in_(hashes))


_KEY = (col(Memory.content_hash), col(Memory.user_id))
_EQUALS = Query(
    sa.select(*_KEY, sa.func.max(col(Memory.id)), sa.func.count())
    .where(
        col(Memory.number).in_(with_text(sa.bindparam("project_id"), texts_in("hashes"))),
        is_live(sa.bindparam("moment", type_=Utc)),
    )
    .group_by(*_KEY)
    .having(sa.func.count() > 1)
)


def newest_ids(session: Session, matching: Sequence[sa.ColumnElement[bool]], limit: int, *, are_few: bool) -> list[str]:
    """Return the ids of the newest memories that match, newest first, each text once. For `are_few` see `by_age`."""
    query = (
        sa.select(col(Memory.id), col(Memory.content_hash), col(Memory.user_id))
        .where(*matching)
        .order_by(by_age(are_few=are_few).desc())
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
