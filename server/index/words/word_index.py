"""Keeps the word index in step with the memories, in the transaction that changes them. `word_search` searches it."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from server.database import Database, id_subquery
from server.index.words.backend import word_index_of
from server.index.words.context import KnownTerms, next_numbers, word_rows
from server.index.words.protocol import WordRow
from server.models import metadata

_memories = metadata.tables["memories"]


def memories_changed(
    session: Session,
    project_id: str,
    user_id: str | None,
    numbers: Sequence[int],
    terms: KnownTerms | None = None,
) -> None:
    """Write the words of these memories of one user, and of the memories after them, whose context has changed.
    `terms` holds the terms of some texts, by memory number.
    """
    changed = sorted({*numbers, *next_numbers(session, project_id, user_id, numbers)})
    _write(session, project_id, word_rows(session, project_id, user_id, changed, terms=terms))


def memories_removed(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Delete the words of these memories, including those in the context of other memories.

    Call it before the memories are deleted.
    """
    removed = set(numbers)
    for user_id, user_numbers in _by_user(session, numbers).items():
        following = next_numbers(session, project_id, user_id, user_numbers)
        kept = [number for number in following if number not in removed]
        _write(session, project_id, word_rows(session, project_id, user_id, kept, removed))
    word_index_of(session).remove_memories(session, sorted(removed))


def projects_removed(session: Session, project_ids: Sequence[str]) -> None:
    """Delete all words of these projects. Call it before their memories are deleted."""
    word_index_of(session).remove_projects(session, project_ids)


def forget_orphans(session: Session) -> None:
    """Delete the words of memories that no longer exist."""
    word_index_of(session).remove_orphans(session)


def rewrite(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Write the words of these memories of one project, of any users."""
    for user_id, user_numbers in _by_user(session, numbers).items():
        _write(session, project_id, word_rows(session, project_id, user_id, user_numbers))


def prepare(database: Database) -> None:
    """Make the database erase words when they are deleted, if it can. The process that owns the index calls this."""
    word_index_of(database).prepare(database)


def purge(database: Database) -> bool:
    """Erase deleted words from disk. Return False when a reader was in the way: call it again later."""
    return word_index_of(database).purge(database)


def _write(session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
    if rows:
        word_index_of(session).write(session, project_id, rows)
        session.execute(_SET_PLACE, [{"memory": row.number, "place": row.place} for row in rows])


def _by_user(session: Session, numbers: Iterable[int]) -> dict[str | None, list[int]]:
    columns = _memories.c
    query = sa.select(columns.number, columns.user_id).where(columns.number.in_(id_subquery(session, numbers)))
    numbers_by_user: dict[str | None, list[int]] = {}
    for number, user_id in session.execute(query):
        numbers_by_user.setdefault(user_id, []).append(number)
    return numbers_by_user


_SET_PLACE = (
    sa.update(_memories)
    .where(_memories.c.number == sa.bindparam("memory"), _memories.c.place != sa.bindparam("place"))
    .values(place=sa.bindparam("place"))
)
