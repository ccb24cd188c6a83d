"""Updates the word index in the transaction that changes the memories. `word_search` searches it."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from server.database import Database, id_subquery
from server.index.words.backend import word_index_of
from server.index.words.context import KnownTerms, next_numbers, word_rows
from server.index.words.protocol import WordRow
from server.models import metadata
from server.statements import Query

_memories = metadata.tables["memories"]


def memories_changed(
    session: Session,
    project_id: str,
    user_id: str | None,
    numbers: Sequence[int],
    terms: KnownTerms | None = None,
) -> None:
    """Write the words of these memories of one user, and of the memories after them, whose context has changed. The
    memories after them keep their places, because a cached matrix only reads changed memories again. `terms` holds the
    terms of some texts by the number of their memory.
    """
    own = set(numbers)
    following = {*next_numbers(session, project_id, user_id, numbers)} - own
    rows = word_rows(session, project_id, user_id, sorted(own | following), terms=terms, only_context=following)
    _write(session, project_id, rows)
    _set_places(session, [row for row in rows if row.number in own])


def memories_removed(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Delete the words of these memories, including those in the context of other memories.

    Call it before the memories are deleted.
    """
    removed = set(numbers)
    for user_id, user_numbers in _by_user(session, numbers).items():
        following = next_numbers(session, project_id, user_id, user_numbers)
        kept = [number for number in following if number not in removed]
        _write(session, project_id, word_rows(session, project_id, user_id, kept, removed, only_context=kept))
    word_index_of(session).remove_memories(session, sorted(removed))


def forget(session: Session, numbers: Sequence[int]) -> None:
    """Delete only the words of these memories, because the memories after them are about to be deleted too."""
    word_index_of(session).remove_memories(session, numbers)


def forget_orphans(session: Session) -> None:
    """Delete the words of memories that no longer exist."""
    word_index_of(session).remove_orphans(session)


def rewrite(session: Session, project_id: str, numbers: Sequence[int], terms: KnownTerms | None = None) -> None:
    """Write the words and places of memories of one project, of any users. `terms` is as in `memories_changed`."""
    for user_id, user_numbers in _by_user(session, numbers).items():
        rows = word_rows(session, project_id, user_id, user_numbers, terms=terms)
        _write(session, project_id, rows)
        _set_places(session, rows)


def prepare(database: Database) -> None:
    """Make the database erase words when they are deleted, if it can. The process that owns the index calls this."""
    word_index_of(database).prepare(database)


def purge(database: Database) -> bool:
    """Erase deleted words from disk. Return False when a reader was in the way: call it again later."""
    return word_index_of(database).purge(database)


def _write(session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
    if rows:
        word_index_of(session).write(session, project_id, rows)


def _set_places(session: Session, rows: Sequence[WordRow]) -> None:
    _SET_PLACE.run(session, [{"memory": row.number, "place": row.place} for row in rows])


def _by_user(session: Session, numbers: Iterable[int]) -> dict[str | None, list[int]]:
    columns = _memories.c
    query = sa.select(columns.number, columns.user_id).where(columns.number.in_(id_subquery(session, numbers)))
    numbers_by_user: dict[str | None, list[int]] = {}
    for number, user_id in session.execute(query):
        numbers_by_user.setdefault(user_id, []).append(number)
    return numbers_by_user


_SET_PLACE = Query(
    sa.update(_memories)
    .where(_memories.c.number == sa.bindparam("memory"), _memories.c.place != sa.bindparam("place"))
    .values(place=sa.bindparam("place"))
)
