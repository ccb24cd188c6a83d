"""Computes the terms and the place that the index stores for a memory, and finds the memories that a change affects.

The memories of one user in one project follow each other by id, as in a conversation. The context of a memory is the
end of the previous memory, so that an answer is found by the words of the question before it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from server.database import as_json
from server.index.words.backend import word_index_of
from server.index.words.protocol import WordRow
from server.index.words.tokenizer import date_words, indexed_terms
from server.models import metadata
from server.statements import Query

CONTEXT_CHARACTERS = 200
"""The length of the context: the last characters of the previous memory."""

CONTEXT_GAP = timedelta(hours=1)
"""The previous memory is context only if it is at most this much older. A longer gap ends a conversation."""

CONVERSATION_PLACES = 1 << 20
"""The places of a conversation begin at `number * CONVERSATION_PLACES`, with the number of its first memory. Each
memory has one place.
"""

KnownTerms = Mapping[int, Sequence[str] | None]
NumbersIn = Callable[[str], sa.Select[int]]
"""`WordIndex.numbers_in` of a database."""

_memories = metadata.tables["memories"]


def next_numbers(session: Session, project_id: str, user_id: str | None, numbers: Sequence[int]) -> list[int]:
    """Return the memories that follow these memories of one user in the same conversation."""
    query = _next_query(word_index_of(session).numbers_in, user_id is None)
    parameters = {"numbers": as_json(numbers), "project": project_id, "user": user_id}
    return [number for number, at, before in query.rows(session, **parameters) if at - before <= CONTEXT_GAP]


def word_rows(
    session: Session,
    project_id: str,
    user_id: str | None,
    numbers: Sequence[int],
    removed: Iterable[int] = (),
    terms: KnownTerms | None = None,
    only_context: Collection[int] = (),
) -> list[WordRow]:
    """Return the rows that the index must store for these memories of one user.

    Memories in `removed` are about to be deleted, so they are skipped as context. `terms` holds the terms of some
    texts, by memory number. The rows of `only_context` have no body, because only their context has changed.
    """
    if not numbers:
        return []
    query = _rows_query(word_index_of(session).numbers_in, user_id is None)
    parameters = {
        "numbers": as_json(numbers),
        "removed": as_json(removed),
        "project": project_id,
        "user": user_id,
    }
    rows: dict[int, WordRow] = {}
    for number, content, created_at, previous in (_with_previous(*row) for row in query.rows(session, **parameters)):
        place = number * CONVERSATION_PLACES
        if previous is not None:
            place = 1 + (rows[previous.number].place if previous.number in rows else previous.place)
        context = indexed_terms(previous.end if previous else "")
        body = (terms or {}).get(number)
        if body is None and number not in only_context:
            body = indexed_terms(content)
        rows[number] = WordRow(number, body, context, indexed_terms(date_words(created_at)), place)
    return list(rows.values())


class _Previous(NamedTuple):
    """The previous memory in the same conversation."""

    number: int
    place: int
    end: str
    created_at: datetime


def _with_previous(
    number: int, content: str, created_at: datetime, *previous: Any
) -> tuple[int, str, datetime, _Previous | None]:
    before = _Previous(*previous) if previous[0] is not None else None
    is_recent = before is not None and created_at - before.created_at <= CONTEXT_GAP
    return number, content, created_at, before if is_recent else None


@cache  # Building these queries takes longer than running them.
def _next_query(numbers_in: NumbersIn, is_anonymous: bool) -> Query:
    memory = _memories.c
    later, following = _memories.alias("later"), _memories.alias("following")
    later_numbers = sa.select(later.c.number).where(*_same_user(later, is_anonymous), later.c.id > memory.id)
    first = later_numbers.order_by(later.c.user_id, later.c.id).limit(1).scalar_subquery()
    return Query(
        sa.select(following.c.number, following.c.created_at, memory.created_at.label("before"))
        .select_from(_memories.join(following, following.c.number == first))
        .where(memory.number.in_(numbers_in("numbers")))
    )


@cache
def _rows_query(numbers_in: NumbersIn, is_anonymous: bool) -> Query:
    memory = _memories.c
    earlier, previous = _memories.alias("earlier"), _memories.alias("previous")
    previous_number = (
        sa.select(earlier.c.number)
        .where(*_same_user(earlier, is_anonymous), earlier.c.id < memory.id)
        .where(earlier.c.number.not_in(numbers_in("removed")))
        .order_by(earlier.c.user_id.desc(), earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    content = previous.c.content
    previous_end = sa.func.substr(content, sa.func.length(content) - (CONTEXT_CHARACTERS - 1))
    return Query(
        sa.select(memory.number, memory.content, memory.created_at)
        .add_columns(previous.c.number, previous.c.place, previous_end, previous.c.created_at)
        .select_from(_memories.outerjoin(previous, previous.c.number == previous_number))
        .where(memory.number.in_(numbers_in("numbers")))
        .order_by(memory.id)  # so that the place of the previous memory is known
    )


def _same_user(memories: sa.FromClause, is_anonymous: bool) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    user = memories.c.user_id.is_(None) if is_anonymous else memories.c.user_id == sa.bindparam("user")
    return memories.c.project_id == sa.bindparam("project"), user
