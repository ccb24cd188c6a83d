"""Updates the word index in the transaction that changes the memories. `word_search` searches it."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from server.index.words.backend import word_index_of
from server.index.words.conversations import KnownTerms, word_rows
from server.index.words.protocol import WordRow
from server.models import metadata
from server.storage.statements import Query, id_subquery

_memories = metadata.tables["memories"]


def memories_changed(
    session: Session, project_id: str, user_id: str | None, numbers: Sequence[int], terms: KnownTerms
) -> None:
    """Write the words and the places of these memories of one user. `terms` holds the terms of some texts by the number
    of their memory. The memories after them keep their places, because a cached matrix only reads changed memories
    again.
    """
    if rows := _write(session, project_id, user_id, numbers, terms):
        _SET_PLACE.run(session, [{"memory": row.number, "place": row.place} for row in rows])


def rewrite(session: Session, project_id: str, numbers: Sequence[int], terms: KnownTerms) -> None:
    """Like `memories_changed`, for memories of any users of the project."""
    for user_id, user_numbers in _by_user(session, numbers).items():
        memories_changed(session, project_id, user_id, user_numbers, terms)


def rewrite_words(session: Session, project_id: str, number: int, terms: Sequence[str] | None = None) -> None:
    """Write the words of one memory, whose `terms` may be known. It keeps its place: its text has not changed, so a
    cached matrix does not read it again.
    """
    for user_id in _by_user(session, [number]):
        _write(session, project_id, user_id, [number], {number: terms})


def _write(
    session: Session, project_id: str, user_id: str | None, numbers: Sequence[int], terms: KnownTerms
) -> list[WordRow]:
    rows = word_rows(session, project_id, user_id, numbers, terms)
    if rows:
        word_index_of(session).write(session, project_id, rows)
    return rows


def _by_user(session: Session, numbers: Iterable[int]) -> dict[str | None, list[int]]:
    columns = _memories.c
    query = sa.select(columns.number, columns.user_id).where(columns.number.in_(id_subquery(numbers)))
    numbers_by_user: dict[str | None, list[int]] = {}
    for number, user_id in session.execute(query):
        numbers_by_user.setdefault(user_id, []).append(number)
    return numbers_by_user


_SET_PLACE = Query(
    sa.update(_memories)
    .where(_memories.c.number == sa.bindparam("memory"), _memories.c.place != sa.bindparam("place"))
    .values(place=sa.bindparam("place"))
)
