"""An overview of a project: its memories over time, their most frequent labels, and the newest ones."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory import counting, memories
from server.domain.memory.expiry import expired_ids
from server.domain.memory.memories import ListRequest, MemoryPage, Stats
from server.domain.memory.pages.facets import METADATA_KEYS, Frequent, frequent_labels
from server.domain.memory.periods import month_of, week_of, year_of
from server.domain.memory.usage import Usage, usage_of
from server.models import Memory, Project
from server.models.base import new_id, now
from server.models.memories import LabelKind
from server.principal import Principal

MOST_LABELS = 8
MOST_SPANS = 27
"""About half a year of weeks."""

NEWEST_MEMORIES = 5


class Step(StrEnum):
    """The length of a span: the shortest that needs at most MOST_SPANS spans."""

    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Span(NamedTuple):
    """The number of memories created from the first moment of `start` until the start of the next span."""

    start: date
    memories: int


@dataclass(frozen=True, slots=True)
class Overview:
    step: Step
    spans: Sequence[Span]
    """All spans without gaps, oldest first. The last one contains today."""

    labels: dict[LabelKind, Frequent]


class Glance(NamedTuple):
    """The content of a project's start page."""

    overview: Overview
    stats: Stats
    newest: MemoryPage
    usage: Usage | None
    """How much of the quota is used; None if there is no quota."""


def at_a_glance(session: Session, principal: Principal, project_id: str, zone: tzinfo) -> Glance:
    """Read everything in one transaction, so that the numbers agree while others add memories.

    Days and weeks are those of the time zone. Raises the errors of `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    shown = _overview(session, project, zone)
    this_week = memories.count_this_week(session, project, zone)
    newest = ListRequest(limit=NEWEST_MEMORIES, project_id=project_id)
    return Glance(
        shown,
        Stats(counting.count_all(session, project), this_week, shown.labels[LabelKind.TAG].distinct),
        memories.list_memories(session, principal, newest),
        usage_of(session, project_id),
    )


def _overview(session: Session, project: Project, zone: tzinfo) -> Overview:
    first = session.scalars(
        sa.select(col(Memory.created_at)).where(col(Memory.project_id) == project.id).order_by(col(Memory.id)).limit(1)
    ).one_or_none()
    step, starts = _spans((first or now()).astimezone(zone).date(), now().astimezone(zone).date())
    labels = {kind: frequent_labels(session, project.id, kind, MOST_LABELS) for kind in METADATA_KEYS}
    return Overview(step, _counts(session, project.id, starts, zone), labels)


_SPAN_OF = {Step.WEEK: week_of, Step.MONTH: month_of, Step.YEAR: year_of}


def _spans(first: date, today: date) -> tuple[Step, list[date]]:
    """Return the start of each span from `first` to `today`, and of the span after."""
    for step in Step:
        starts = list(_starts(step, first, today))
        if len(starts) <= MOST_SPANS:
            return step, starts
    return Step.YEAR, starts[-MOST_SPANS:]


def _starts(step: Step, first: date, today: date) -> Iterator[date]:
    start, following = _SPAN_OF[step](first)
    while start <= today:
        yield start
        start, following = _SPAN_OF[step](following)
    yield start


def _counts(session: Session, project_id: str, starts: Sequence[date], zone: tzinfo) -> list[Span]:
    """Count each span as a range of the index on (project, id), because an id begins with its time."""
    edges = [new_id("mem_", datetime.combine(start, time.min, zone))[: len("mem_") + 12] for start in starts]
    parameters = {f"e{position}": edge for position, edge in enumerate(edges)} | {"project": project_id}
    counts = session.execute(_count_query(len(starts) - 1), parameters).one()
    expired = Counter(bisect(edges, memory_id) - 1 for memory_id in expired_ids(session, project_id))
    return [Span(start, counts[place] - expired[place]) for place, start in enumerate(starts[:-1])]


@cache
def _count_query(spans: int) -> sa.TextClause:
    counts = (
        f"(SELECT count(*) FROM memories WHERE project_id = :project AND id >= :e{at} AND id < :e{at + 1})"  # noqa: S608
        for at in range(spans)
    )
    return sa.text("SELECT " + ", ".join(counts))
