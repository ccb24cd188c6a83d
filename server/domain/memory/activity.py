"""The activity of a project: operations note what they did with its memories, the process stores the notes, and members
read them.

Operations only note events in their session, because a separate write would cost more than the search itself.
`server.shell.activity_log` stores them after the commit.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory.filters import CLOCK_SLACK
from server.domain.memory.source import ACTIVITY_KINDS, source_of, source_of_command
from server.domain.retention import delete_chunks
from server.models import ActivityEvent, Project, User, metadata
from server.models.activity import ActivityKind
from server.models.base import is_id, milliseconds_in, new_id, now, smallest_id
from server.models.projects import IS_DELETED
from server.principal import Principal
from server.storage.database import insert_for, is_sqlite

MOST_IDS = 1_000
"""How many memory ids the event of a change stores: enough for a whole batch. Answers show only the first of them."""

SHOWN_IDS = 100
"""How many memory ids any other event stores. Answers show as many for each event."""

QUERY_LENGTH = 500
COUNTED_EVENTS = 300
"""How many recent events decide which memories are found often."""

COUNTED_IDS = 10
_NOTED = "activity"
_READING = frozenset({ActivityKind.READ, ActivityKind.LIST, ActivityKind.SEARCH})
_WORTH_NOTING_EMPTY = frozenset({ActivityKind.SEARCH, ActivityKind.EXPORT})

_IS_READ_ALONE = sa.and_(col(ActivityEvent.kind) == ActivityKind.READ, col(ActivityEvent.count) == 1)
"""Leaves out reads of a whole context: a memory does not become a frequent one just because contexts include it."""

Noted = dict[str, Any]
"""The columns of an event."""


class ActivityFilters(NamedTuple):
    """Each field narrows the result. `source` is a kind or an id; `before` is the id of an event."""

    source: str | None = None
    memory_id: str | None = None
    kind: ActivityKind | None = None
    before: str | None = None


class NamedEvent(NamedTuple):
    """An event, and the name of the credential's owner. None if the account was deleted, and for the command line."""

    event: ActivityEvent
    actor_name: str | None


def note(
    session: Session,
    principal: Principal | None,
    project_id: str,
    kind: ActivityKind,
    memory_ids: Iterable[str] = (),
    *,
    count: int | None = None,
    query: str | None = None,
    import_id: str | None = None,
) -> None:
    """Note what the operation did. Only a search and an export are worth a note if they concern no memory.

    `principal` is None for the command line, whose imports have an `import_id`. `count` is the number of affected
    memories. Give it if `memory_ids` does not name all of them.
    """
    ids = list(memory_ids)
    count = len(ids) if count is None else count
    if count == 0 and kind not in _WORTH_NOTING_EMPTY:
        return
    source = source_of(principal) if principal else source_of_command(import_id)
    event: Noted = {
        "id": new_id("act_"),
        "project_id": project_id,
        "kind": kind,
        "source_kind": source.kind,
        "source_id": source.id,
        "source_name": source.name,
        "actor_id": principal.user_id if principal else "",
        "memory_ids": ids[: SHOWN_IDS if kind in _READING else MOST_IDS],
        "query": None if query is None else query[:QUERY_LENGTH],
        "count": count,
        "created_at": now(),
    }
    session.info.setdefault(_NOTED, []).append(event)


def noted_in(session: Session) -> list[Noted]:
    events: list[Noted] = session.info.get(_NOTED, [])
    return events


def store(session: Session, events: Sequence[Noted]) -> None:
    """Store the events of projects that still exist. If one is stored already, replace its `count` and `memory_ids`."""
    project_ids = {event["project_id"] for event in events}
    query = sa.select(col(Project.id)).where(col(Project.id).in_(project_ids), ~IS_DELETED)
    existing = set(session.scalars(query.with_for_update(read=True, key_share=True)))
    rows = [event for event in events if event["project_id"] in existing]
    if rows:
        session.execute(_upsert(is_sqlite(session)), rows)


@cache
def _upsert(on_sqlite: bool) -> sa.Insert:
    """Insert into the table instead of through the class, whose mapper costs time for each row."""
    insert = insert_for(on_sqlite, metadata.tables["activity_events"])
    grown = {name: insert.excluded[name] for name in ("count", "memory_ids")}
    return insert.on_conflict_do_update(index_elements=["id"], set_=grown)


def store_noted(session: Session, days: int) -> None:
    """Store what operations noted in the session, unless `days` is 0. For commands, which have no activity log."""
    if days:
        store(session, noted_in(session))


def list_activity(
    session: Session, principal: Principal, project_id: str, filters: ActivityFilters, limit: int
) -> list[NamedEvent]:
    """Return at most `limit` events of the project, newest first. Raises the errors of `require_project`."""
    project = require_project(session, principal, project_id, Action.READ)
    name = sa.func.nullif(col(User.name), "")  # a deleted account has lost its name
    query = sa.select(ActivityEvent, name).outerjoin(User, col(User.id) == ActivityEvent.actor_id)
    query = query.where(col(ActivityEvent.project_id) == project.id, *_conditions(filters))
    rows = session.execute(query.order_by(col(ActivityEvent.id).desc()).limit(limit))
    return [NamedEvent(*row) for row in rows]


def often_found(session: Session, project_id: str, limit: int) -> list[str]:
    """Return the memories that the project's last searches found or that were read, most often first."""
    query = (
        sa.select(col(ActivityEvent.memory_ids))
        .where(
            col(ActivityEvent.project_id) == project_id,
            sa.or_(col(ActivityEvent.kind) == ActivityKind.SEARCH, _IS_READ_ALONE),
        )
        .order_by(col(ActivityEvent.id).desc())
        .limit(COUNTED_EVENTS)
    )
    counts = Counter(memory_id for ids in session.scalars(query) for memory_id in islice(ids, COUNTED_IDS))
    return sorted(counts, key=lambda memory_id: (-counts[memory_id], memory_id))[:limit]


def remove_old(session: Session, days: int) -> int:
    """Delete some events that are older than `days` days.

    Return how many were deleted. Call it again until it returns 0.
    """
    is_old = col(ActivityEvent.id) < new_id("act_", now() - timedelta(days=days))
    return delete_chunks(session, [(ActivityEvent, is_old)])


def _conditions(filters: ActivityFilters) -> list[sa.ColumnElement[bool]]:
    matching: list[sa.ColumnElement[bool]] = []
    if filters.source is not None:
        column = ActivityEvent.source_kind if filters.source in ACTIVITY_KINDS else ActivityEvent.source_id
        matching.append(col(column) == filters.source)
    if filters.memory_id is not None:
        written = sa.cast(col(ActivityEvent.memory_ids), sa.Text)
        matching.append(written.contains(filters.memory_id, autoescape=True))
        matching.append(col(ActivityEvent.id) >= _first_id(filters.memory_id))
    if filters.kind is not None:
        matching.append(col(ActivityEvent.kind) == filters.kind)
    if filters.before is not None:
        matching.append(col(ActivityEvent.id) < filters.before)
    return matching


def _first_id(memory_id: str) -> str:
    """Return the smallest id of an event that can be about the memory, because no event is older than its memories.

    The text of each event has to be searched, so a question about a new memory does not read all of them. An id of the
    future tells nothing: it was made before the clock was set back.
    """
    if memory_id > new_id("mem_") or not is_id("mem_", memory_id):
        return ""
    return smallest_id("act_", milliseconds_in("mem_", memory_id) - CLOCK_SLACK // timedelta(milliseconds=1))
