"""What an assistant should know at the start of a conversation, within a budget of characters."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Annotated, NamedTuple

import sqlalchemy as sa
from pydantic import Field
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory import activity
from server.domain.memory.budget import ROWS_PER_READ, WITHOUT_MESSAGES
from server.domain.memory.excerpts import beginning_of, title_above
from server.domain.memory.filters import Filters, conditions
from server.models import Memory
from server.models.activity import ActivityKind
from server.principal import Principal

DEFAULT_BUDGET = 4_000
ContextBudget = Annotated[int, Field(ge=1, le=100_000)]
MOST_CANDIDATES = 200
"""How many pinned memories to consider, and how many recently changed ones."""

MOST_FOUND = 50
"""How many frequently found memories to consider. All of them are loaded at once."""

SHORTEST_LENGTH = 40
"""A text that would be cut to fewer characters than this is left out instead."""

Write = Callable[[Memory, str], str]


class ContextEntry(NamedTuple):
    """A memory, the beginning of its text, and the line that states it."""

    memory: Memory
    text: str
    line: str


def read_context(
    session: Session,
    principal: Principal,
    project_id: str | None,
    user_id: str | None,
    budget: int,
    write: Write,
) -> list[ContextEntry]:
    """Return the memories whose lines fit into `budget` characters, with one more for each line break.

    `write` returns the line of a memory. It gets the memory and its text, with the title first if it has one.

    Pinned memories come first, newest first. Then recently changed and frequently found memories alternate. Each text
    appears once. The memories come without their messages. Raises the errors of `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    matching = conditions(Filters(user_id=user_id), project.id)
    is_pinned = conditions(Filters(user_id=user_id, pinned=True), project.id)
    often_found_ids = activity.often_found(session, project.id, MOST_FOUND)
    pinned = _read(session, sa.select(Memory).where(*is_pinned).order_by(col(Memory.id).desc()))
    changed = _read(session, _changed_last(matching))
    by_id = sa.select(Memory).where(*matching, col(Memory.id).in_(often_found_ids))
    ranked = {memory.id: memory for memory in _read(session, by_id)}
    frequent = [ranked[memory_id] for memory_id in often_found_ids if memory_id in ranked]
    others = (memory for pair in zip_longest(changed, frequent) for memory in pair if memory is not None)
    entries = _fitting(chain(pinned, others), budget, write)
    activity.note(session, principal, project.id, ActivityKind.READ, (one.memory.id for one in entries))
    return entries


def _changed_last(matching: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Memory]:
    """Select the memories that were stored or changed last. Revisions have an index, but a new model changes them too,
    those of the oldest memories last. So the newest memories are always considered.
    """
    number, stored_at, updated_at = col(Memory.number), col(Memory.stored_at), col(Memory.updated_at)
    newest, written = (
        sa.select(number).where(*matching).order_by(column.desc()).limit(MOST_CANDIDATES).subquery().select()
        for column in (col(Memory.id), col(Memory.revision))
    )
    changed_at = sa.case((stored_at > updated_at, stored_at), else_=updated_at)
    query = sa.select(Memory).where(number.in_(sa.union(newest, written)))
    return query.order_by(changed_at.desc(), col(Memory.id).desc())


def _read(session: Session, query: sa.Select[Memory]) -> Iterator[Memory]:
    query = query.limit(MOST_CANDIDATES).options(WITHOUT_MESSAGES).execution_options(yield_per=ROWS_PER_READ)
    with session.scalars(query) as rows:
        yield from rows


def _fitting(memories: Iterator[Memory], budget: int, write: Write) -> list[ContextEntry]:
    entries: dict[str, ContextEntry] = {}
    room = budget
    for memory in memories:
        if room <= 0:
            break
        if memory.content_hash in entries:
            continue
        text = beginning_of(memory.content)
        title = title_above(memory.content, memory.details)
        name = f"{title}: " if title else ""
        line = write(memory, name + one_line(text))
        excess = len(line) - room
        if excess > 0:
            length = len(one_line(text)) - excess
            if length <= SHORTEST_LENGTH:
                continue
            text = beginning_of(one_line(text), length)
            line = write(memory, name + text)
        entries[memory.content_hash] = ContextEntry(memory, text, line)
        room -= len(line) + 1
    return list(entries.values())


def one_line(text: str) -> str:
    """Return the text on one line, so that one memory cannot look like several."""
    return " ".join(text.split())


def text_of(entries: Sequence[ContextEntry]) -> str:
    return "\n".join(one.line for one in entries)
