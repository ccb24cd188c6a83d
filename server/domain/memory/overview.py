"""An overview of a project: how many memories were created when, their most frequent labels, and the newest ones."""

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory import memories
from server.domain.memory.expiry import expired_ids
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, fold, parse_list
from server.domain.memory.memories import ListRequest, MemoryPage, Stats, of_live_memories
from server.domain.memory.periods import week_of
from server.domain.memory.usage import Usage, usage_of
from server.models import Label, Memory
from server.models.base import JsonObject, new_id, now
from server.models.memories import LabelKind
from server.principal import Principal

MOST_LABELS = 8
MOST_SPANS = 27
"""About half a year of weeks."""

NEWEST_MEMORIES = 5
METADATA_KEYS = {LabelKind.TAG: TAGS, LabelKind.CATEGORY: CATEGORY, LabelKind.PERSON: PEOPLE}


class Step(StrEnum):
    """The length of a span: the shortest that needs at most MOST_SPANS spans."""

    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Span(NamedTuple):
    """The number of memories created from `start` (a day in UTC) until the start of the next span."""

    start: date
    memories: int


class LabelCount(NamedTuple):
    """A label, spelled as in the newest memory that has it, and the number of memories that have it."""

    value: str
    memories: int


@dataclass(frozen=True, slots=True)
class Overview:
    step: Step
    spans: Sequence[Span]
    """Without gaps, oldest first; today is in the last one."""

    labels: dict[LabelKind, Sequence[LabelCount]]
    """The most frequent labels of each kind."""


class Glance(NamedTuple):
    """The content of a project's start page."""

    overview: Overview
    stats: Stats
    newest: MemoryPage
    usage: Usage | None
    """None without a quota."""


def at_a_glance(session: Session, principal: Principal, project_id: str) -> Glance:
    """Read everything in one transaction, so that the numbers agree while others add memories."""
    newest = ListRequest(limit=NEWEST_MEMORIES, project_id=project_id)
    return Glance(
        overview(session, principal, project_id),
        memories.stats(session, principal, project_id),
        memories.list_memories(session, principal, newest),
        usage_of(session, project_id),
    )


def overview(session: Session, principal: Principal, project_id: str) -> Overview:
    """Return the memories over time and the most frequent labels. Raises what `require_project` does."""
    project = require_project(session, principal, project_id, Action.READ)
    first = session.scalars(
        sa.select(col(Memory.created_at)).where(col(Memory.project_id) == project.id).order_by(col(Memory.id)).limit(1)
    ).one_or_none()
    step, starts = _spans((first or now()).date(), now().date())
    return Overview(step, _counts(session, project.id, starts), _labels(session, project.id))


LONGEST = {Step.WEEK: timedelta(days=7), Step.MONTH: timedelta(days=31), Step.YEAR: timedelta(days=366)}
"""The longest span of each step: added to a start, it leads into the next span."""


def _spans(first: date, today: date) -> tuple[Step, list[date]]:
    """Return the start of each span from `first` to `today`, and of the span after."""
    for step in Step:
        starts = list(_starts(step, first, today))
        if len(starts) <= MOST_SPANS:
            return step, starts
    return Step.YEAR, starts[-MOST_SPANS:]


def _starts(step: Step, first: date, today: date) -> Iterator[date]:
    start = _start_of(step, first)
    while start <= today:
        yield start
        start = _start_of(step, start + LONGEST[step])
    yield start


def _start_of(step: Step, day: date) -> date:
    if step is Step.WEEK:
        return week_of(day)[0]
    return day.replace(day=1) if step is Step.MONTH else day.replace(month=1, day=1)


def _counts(session: Session, project_id: str, starts: Sequence[date]) -> list[Span]:
    """Count each span as a range of the index on (project, id), because an id begins with its time."""
    edges = [new_id("mem_", datetime.combine(start, time.min, UTC))[: len("mem_") + 12] for start in starts]
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


def _labels(session: Session, project_id: str) -> dict[LabelKind, Sequence[LabelCount]]:
    frequent = {kind: _most_frequent(session, project_id, kind) for kind in METADATA_KEYS}
    newest = [number for labels in frequent.values() for _, _, number in labels]
    rows = session.execute(sa.select(col(Memory.number), col(Memory.details)).where(col(Memory.number).in_(newest)))
    details = {number: value for number, value in rows}  # noqa: C416 - rows are no pairs to the type checker
    return {
        kind: [LabelCount(_as_written(kind, value, details.get(number, {})), count) for value, count, number in labels]
        for kind, labels in frequent.items()
    }


def _most_frequent(session: Session, project_id: str, kind: LabelKind) -> Sequence[tuple[str, int, int]]:
    """Return the labels as they are compared, how many memories have each, and the `number` of the newest memory."""
    count = sa.func.count().label("count")
    query = (
        sa.select(col(Label.value), count, sa.func.max(col(Label.memory_number)))
        .where(col(Label.project_id) == project_id, col(Label.kind) == kind, of_live_memories(project_id))
        .group_by(col(Label.value))
        .order_by(count.desc(), col(Label.value))
        .limit(MOST_LABELS)
    )
    return [(value, memory_count, newest) for value, memory_count, newest in session.execute(query)]


def _as_written(kind: LabelKind, value: str, details: JsonObject) -> str:
    """Return the label as the metadata spells it: it is compared as "anna", but people write "Anna"."""
    spelled = details.get(METADATA_KEYS[kind])
    spellings = [spelled] if kind is LabelKind.CATEGORY and isinstance(spelled, str) else parse_list(spelled)
    return next((spelling for spelling in spellings if fold(spelling) == value), value)
