"""Counts what each API key, application and person did recently with the memories of a project."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

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


_BY_KIND = frozenset({SourceKind.SESSION, COMMAND})
"""Kinds whose sources count as one. Each import on the command line has an id of its own."""

PER_EVENT = frozenset({ActivityKind.SEARCH, ActivityKind.LIST, ActivityKind.EXPORT})
"""Kinds that count once per event. The others count the memories of the event."""


def recent_work(session: Session, principal: Principal, project_id: str) -> Sequence[Work]:
    """Return the work of the last DAYS days, the most recently active source first.

    Raises the errors of `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    newest = (
        sa.select(ActivityEvent)
        .where(
            col(ActivityEvent.project_id) == project.id,
            col(ActivityEvent.id) >= new_id("act_", now() - timedelta(days=DAYS)),
        )
        .order_by(col(ActivityEvent.id).desc())
        .limit(MOST_EVENTS)
    )
    columns = ("source_id", "source_kind", "source_name", "actor_id", "kind", "count", "created_at")
    events = newest.with_only_columns(*(getattr(ActivityEvent, name) for name in columns))
    works: dict[tuple[str, str], Work] = {}
    for source_id, source_kind, name, actor_id, kind, count, created_at in session.execute(events):
        source = source_kind if source_kind in _BY_KIND else source_id
        new = Work(source, name, actor_id, Counter(), created_at)
        kind = ActivityKind(kind)
        works.setdefault((source, actor_id), new).counts[kind] += 1 if kind in PER_EVENT else count
    return list(works.values())[:MOST_SOURCES]
