"""Counts what each API key, application and person did recently with the memories of a project."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.models import ActivityEvent
from server.models.activity import ActivityKind
from server.models.base import new_id, now
from server.models.sources import COMMAND, SourceKind
from server.principal import Principal

DAYS = 7
MOST_EVENTS = 5_000
"""How many of the newest events are counted."""

MOST_USES = 20_000
"""How many of the newest events are counted as uses. They take 10 ms to count."""

MOST_SOURCES = 8


class Work(NamedTuple):
    """What one source did. `source` is its id, or the kind for all browsers of a person and for the command line.

    `counts` holds how often it searched or listed, and how many memories it changed.
    """

    source: str
    name: str
    actor_id: str
    counts: Counter[ActivityKind]
    last_at: datetime


class Uses(NamedTuple):
    """How often each source was used, by its id. If not `is_complete`, there were more uses than were counted."""

    counts: Mapping[str, int]
    is_complete: bool = True


_BY_KIND = frozenset({SourceKind.SESSION, COMMAND})
"""Kinds whose sources count as one. Each import on the command line has an id of its own."""

PER_EVENT = frozenset({ActivityKind.SEARCH, ActivityKind.LIST, ActivityKind.EXPORT})
"""Kinds that count once per event. The others count the memories of the event."""


def recent_work(session: Session, principal: Principal, project_id: str) -> Sequence[Work]:
    """Return the work of the last DAYS days, the most recently active source first.

    Raises the errors of `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    columns = ("source_id", "source_kind", "source_name", "actor_id", "kind", "count", "created_at")
    events = _newest(project.id, DAYS, MOST_EVENTS, columns)
    works: dict[tuple[str, str], Work] = {}
    for source_id, source_kind, name, actor_id, kind, count, created_at in session.execute(events):
        source = source_kind if source_kind in _BY_KIND else source_id
        new = Work(source, name, actor_id, Counter(), created_at)
        kind = ActivityKind(kind)
        works.setdefault((source, actor_id), new).counts[kind] += 1 if kind in PER_EVENT else count
    return list(works.values())[:MOST_SOURCES]


def count_uses(session: Session, principal: Principal, project_id: str, days: int) -> Uses:
    """Return how often each source of the project was used in the last `days` days.

    Raises the errors of `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    source = _newest(project.id, days, MOST_USES, ("source_id",)).subquery().c.source_id
    counts = dict(session.execute(sa.select(source, sa.func.count()).group_by(source)).all())
    return Uses(counts, is_complete=sum(counts.values()) < MOST_USES)


def _newest(project_id: str, days: int, most: int, columns: Sequence[str]) -> sa.Select[Any]:
    """Select these columns of the project's newest events, at most `most` of the last `days` days, newest first."""
    return (
        sa.select(*(getattr(ActivityEvent, name) for name in columns))
        .where(
            col(ActivityEvent.project_id) == project_id,
            col(ActivityEvent.id) >= new_id("act_", now() - timedelta(days=days)),
        )
        .order_by(col(ActivityEvent.id).desc())
        .limit(most)
    )
