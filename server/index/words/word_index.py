"""The words index: FTS5 on SQLite, tsvector on Postgres, written by the same functions; the table is `memory_words`.

`word_search` searches three columns: what a memory says (weight 1), the end of the memory before it in the same
conversation (0.5) and its date in words (1). Words are cut here; the database stems them and keeps the index.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa
from sqlmodel import Session

from server.database import as_json, id_subquery, is_sqlite, numbers_in
from server.index.words.tokenizer import date_words, terms_of
from server.models import metadata

CONTEXT_LENGTH = 200
"""Characters of the memory before that are searched too."""

CONTEXT_GAP = timedelta(hours=1)
"""The memory before is context when it is no older than that, then."""

MOST_BYTES = 1_000_000
"""Of a memory's different words and their places: Postgres takes 1 MB in one vector, and a memory may have more."""

_ALPHABET = "bcdfghjklmnpqrst"  # no vowels: the stemmer counts the word's own syllables
_memories = metadata.tables["memories"]


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    content: str
    created_at: datetime
    context: str


def memories_changed(session: Session, project_id: str, user_id: str | None, numbers: Sequence[int]) -> None:
    """(Re)write the words of these memories of one user, and of those that come after them."""
    changed = sorted({*numbers, *_following(session, project_id, user_id, numbers)})
    _write(session, project_id, _rows(session, project_id, user_id, changed))


def memories_removed(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Forget these memories' words, also where they are another's context. To be called before their rows go."""
    gone = set(numbers)
    for user_id, own in _by_user(session, numbers).items():
        left = [number for number in _following(session, project_id, user_id, own) if number not in gone]
        _write(session, project_id, _rows(session, project_id, user_id, left, gone))
    if is_sqlite(session):  # Postgres cascades
        session.execute(_DELETE, {"numbers": json.dumps(sorted(gone))})


def projects_removed(session: Session, project_ids: Sequence[str]) -> None:
    """Forget all words of these projects. To be called before their memories' rows go."""
    if is_sqlite(session):  # Postgres cascades
        session.execute(_DELETE_PROJECTS, {"projects": json.dumps(list(project_ids))})


def forget_orphans(session: Session) -> None:
    """Forget the words of memories that are not there."""
    if is_sqlite(session):
        session.execute(_DELETE_ORPHANS)


def rewrite(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Write the words of these memories, of any users, as they should be."""
    for user_id, own in _by_user(session, numbers).items():
        _write(session, project_id, _rows(session, project_id, user_id, own))


@cache
def prefix_of(project_id: str) -> str:
    """On SQLite: what every indexed word of a project begins with."""
    digest = hashlib.sha256(project_id.encode()).digest()
    return "".join(_ALPHABET[byte % 16] + _ALPHABET[byte // 16] for byte in digest[:5])


def _by_user(session: Session, numbers: Iterable[int]) -> dict[str | None, list[int]]:
    users: dict[str | None, list[int]] = {}
    own = _memories.c
    for number, user_id in session.execute(
        sa.select(own.number, own.user_id).where(own.number.in_(id_subquery(session, numbers)))
    ):
        users.setdefault(user_id, []).append(number)
    return users


def _following(session: Session, project_id: str, user_id: str | None, numbers: Sequence[int]) -> list[int]:
    """The memory after each of these, of the same user."""
    query = _following_query(is_sqlite(session), user_id is None)
    given = {"numbers": as_json(numbers), "project": project_id, "user": user_id}
    return [number for number in session.scalars(query, given) if number is not None]


def _rows(
    session: Session, project_id: str, user_id: str | None, numbers: Sequence[int], gone: Iterable[int] = ()
) -> list[_Row]:
    """What is to be written for these memories; the context skips memories that are about to go."""
    if not numbers:
        return []
    given = {"numbers": as_json(numbers), "gone": as_json(gone), "project": project_id, "user": user_id}
    return [
        _Row(number, content, at, text if then is not None and at - then <= CONTEXT_GAP else "")
        for number, content, at, text, then in session.execute(_rows_query(is_sqlite(session), user_id is None), given)
    ]


@cache  # what follows is made once: putting such a query together takes longer than running it
def _following_query(sqlite: bool, anonymous: bool) -> sa.Select[int | None]:
    after = _memories.alias("after")
    following = sa.select(after.c.number).where(*_same_user(after, anonymous), after.c.id > _memories.c.id)
    first = following.order_by(after.c.user_id, after.c.id).limit(1).scalar_subquery()
    return sa.select(first).where(_memories.c.number.in_(numbers_in(sqlite, sa.bindparam("numbers", type_=sa.String))))


@cache
def _rows_query(sqlite: bool, anonymous: bool) -> sa.Select[int, str, datetime, str | None, datetime | None]:
    before, earlier, own = _memories.alias("before"), _memories.alias("earlier"), _memories.c
    previous = (
        sa.select(earlier.c.number)
        .where(*_same_user(earlier, anonymous), earlier.c.id < own.id)
        .where(earlier.c.number.not_in(numbers_in(sqlite, sa.bindparam("gone", type_=sa.String))))
        .order_by(earlier.c.user_id.desc(), earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    said = before.c.content
    tail = sa.func.substr(said, sa.func.length(said) - (CONTEXT_LENGTH - 1))
    return (
        sa.select(own.number, own.content, own.created_at, tail, before.c.created_at)
        .select_from(_memories.outerjoin(before, before.c.number == previous))
        .where(own.number.in_(numbers_in(sqlite, sa.bindparam("numbers", type_=sa.String))))
    )


def _same_user(of: sa.FromClause, anonymous: bool) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    user = of.c.user_id.is_(None) if anonymous else of.c.user_id == sa.bindparam("user")
    return of.c.project_id == sa.bindparam("project"), user


def _write(session: Session, project_id: str, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    sqlite = is_sqlite(session)
    prefix = prefix_of(project_id) if sqlite else ""
    values = [
        {
            "number": row.number,
            "project": project_id,
            "body": _text(row.content, prefix),
            "context": _text(row.context, prefix),
            "dates": _text(date_words(row.created_at), prefix),
        }
        for row in rows
    ]
    session.execute(_WRITE_SQLITE if sqlite else _WRITE_POSTGRES, values)


def _text(text: str, prefix: str) -> str:
    return " ".join([prefix + term for term in _first(terms_of(text))])


def _first(terms: list[str]) -> list[str]:
    """As many as fit a vector: a longer memory is found by what comes after them through its pieces."""
    room, different = MOST_BYTES, set[str]()
    for place, term in enumerate(terms):
        room -= 2 if term in different else len(term.encode()) + 5
        if room < 0:
            return terms[:place]
        different.add(term)
    return terms


_DELETE = sa.text("DELETE FROM memory_words WHERE rowid IN (SELECT value FROM json_each(:numbers))")
_DELETE_PROJECTS = sa.text(
    "DELETE FROM memory_words WHERE rowid IN"
    " (SELECT number FROM memories WHERE project_id IN (SELECT value FROM json_each(:projects)))"
)
_DELETE_ORPHANS = sa.text("DELETE FROM memory_words WHERE rowid NOT IN (SELECT number FROM memories)")
_WRITE_SQLITE = sa.text(
    "INSERT OR REPLACE INTO memory_words (rowid, body, context, dates) VALUES (:number, :body, :context, :dates)"
)
_WRITE_POSTGRES = sa.text(
    "INSERT INTO memory_words (memory_number, project_id, words) VALUES (:number, :project,"
    " setweight(to_tsvector('english', :body), 'A') || setweight(to_tsvector('english', :context), 'B')"
    " || setweight(to_tsvector('english', :dates), 'A'))"
    " ON CONFLICT (memory_number) DO UPDATE SET words = EXCLUDED.words"
)
