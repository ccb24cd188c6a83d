"""Computes the terms that the index stores for a memory, and its place in its conversation.

The memories of one user in one project follow each other by id, as in a conversation. See the module `window` for what
the places are good for.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache

import sqlalchemy as sa
from sqlmodel import Session

from server.index.words.protocol import WordRow
from server.index.words.titles import memory_terms
from server.index.words.tokenizer import date_words, indexed_terms
from server.models import metadata
from server.storage.statements import Query, as_json, numbers_in

LONGEST_GAP = timedelta(hours=1)
"""A longer gap between two memories ends a conversation."""

CONVERSATION_PLACES = 1 << 20
"""The places of a conversation begin at `number * CONVERSATION_PLACES`, with the number of its first memory. Each
memory has one place.
"""

KnownTerms = Mapping[int, Sequence[str] | None]

_memories = metadata.tables["memories"]


def word_rows(
    session: Session, project_id: str, user_id: str | None, numbers: Sequence[int], terms: KnownTerms
) -> list[WordRow]:
    """Return the rows that the index must store for these memories of one user. `terms` holds the terms of some, by
    memory number.
    """
    if not numbers:
        return []
    query = _rows_query(user_id is None)
    parameters = {"numbers": as_json(numbers), "project": project_id, "user": user_id}
    places: dict[int, int] = {}
    rows: list[WordRow] = []
    for number, content, details, at, previous, previous_place, previous_at in query.rows(session, **parameters):
        places[number] = number * CONVERSATION_PLACES
        if previous is not None and at - previous_at <= LONGEST_GAP:
            places[number] = 1 + (places.get(previous, 0) or previous_place)
        body = terms.get(number)
        body = memory_terms(content, details) if body is None else body
        rows.append(WordRow(number, body, indexed_terms(date_words(at)), places[number]))
    return rows


@cache  # Building this query takes longer than running it.
def _rows_query(is_anonymous: bool) -> Query:
    memory = _memories.c
    earlier, previous = _memories.alias("earlier"), _memories.alias("previous")
    previous_number = (
        sa.select(earlier.c.number)
        .where(*_same_user(earlier, is_anonymous), earlier.c.id < memory.id)
        .order_by(earlier.c.user_id.desc(), earlier.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return Query(
        sa.select(memory.number, memory.content, memory.metadata, memory.created_at)
        .add_columns(previous.c.number, previous.c.place, previous.c.created_at)
        .select_from(_memories.outerjoin(previous, previous.c.number == previous_number))
        .where(memory.number.in_(numbers_in("numbers")))
        .order_by(memory.id)  # so that the place of the previous memory is known
    )


def _same_user(memories: sa.FromClause, is_anonymous: bool) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    user = memories.c.user_id.is_(None) if is_anonymous else memories.c.user_id == sa.bindparam("user")
    return memories.c.project_id == sa.bindparam("project"), user
