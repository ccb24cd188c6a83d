"""A project's memories from above: how many came when, and what they are labelled with most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, fold, parse_list
from server.models import Label, Memory
from server.models.base import JsonObject, new_id, now
from server.models.memories import LabelKind
from server.principal import Principal

MOST_LABELS = 8
MOST_SPANS = 27
KEYS = {LabelKind.TAG: TAGS, LabelKind.CATEGORY: CATEGORY, LabelKind.PERSON: PEOPLE}


class Step(StrEnum):
    """How long the spans are: as short as leaves at most about half a year's weeks of them."""

    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Span(NamedTuple):
    """The memories created from `start` (a day in UTC) until the next span's start."""

    start: date
    memories: int


class LabelCount(NamedTuple):
    """A label as the newest memory that has it spells it, and how many have it."""

    value: str
    memories: int


@dataclass(frozen=True, slots=True)
class Overview:
    step: Step
    spans: Sequence[Span]
    labels: dict[LabelKind, Sequence[LabelCount]]


def overview(session: Session, principal: Principal, project_id: str) -> Overview:
    """Spans without a gap, the oldest first and the last one now; the most frequent labels of each kind."""
    project = require_project(session, principal, project_id, Action.READ)
    first = session.scalars(
        sa.select(col(Memory.created_at)).where(col(Memory.project_id) == project.id).order_by(col(Memory.id)).limit(1)
    ).one_or_none()
    step, starts = _spans((first or now()).date(), now().date())
    return Overview(step, _counts(session, project.id, starts), _labels(session, project.id))


def _spans(first: date, today: date) -> tuple[Step, list[date]]:
    """The start of every span that touches the time between, and of the one after."""
    for step in Step:
        starts = list(_starts(step, first, today))
        if len(starts) <= MOST_SPANS:
            return step, starts
    return Step.YEAR, starts[-MOST_SPANS:]


def _starts(step: Step, first: date, today: date) -> Iterator[date]:
    start = _start_of(step, first)
    while start <= today:
        yield start
        start = _start_of(step, start + {Step.WEEK: _days(7), Step.MONTH: _days(31), Step.YEAR: _days(366)}[step])
    yield start


def _start_of(step: Step, day: date) -> date:
    if step is Step.WEEK:
        return day - _days(day.weekday())
    return day.replace(day=1) if step is Step.MONTH else day.replace(month=1, day=1)


def _days(count: int) -> timedelta:
    return timedelta(days=count)


def _counts(session: Session, project_id: str, starts: Sequence[date]) -> list[Span]:
    """An id begins with its moment, so each span is a range of the index on (project, id)."""
    edges = [new_id("mem_", datetime.combine(start, time.min, UTC))[: len("mem_") + 12] for start in starts]
    named = {f"e{place}": edge for place, edge in enumerate(edges)} | {"project": project_id}
    counts = session.execute(_counting(len(starts) - 1), named).one()
    return [Span(start, count) for start, count in zip(starts, counts, strict=False)]


@cache
def _counting(spans: int) -> sa.TextClause:
    counts = (
        f"(SELECT count(*) FROM memories WHERE project_id = :project AND id >= :e{at} AND id < :e{at + 1})"  # noqa: S608
        for at in range(spans)
    )
    return sa.text("SELECT " + ", ".join(counts))


def _labels(session: Session, project_id: str) -> dict[LabelKind, Sequence[LabelCount]]:
    frequent = {kind: _most_frequent(session, project_id, kind) for kind in KEYS}
    newest = [number for labels in frequent.values() for _, _, number in labels]
    rows = session.execute(sa.select(col(Memory.number), col(Memory.details)).where(col(Memory.number).in_(newest)))
    details = {number: written for number, written in rows}  # noqa: C416 - rows are no pairs to the type checker
    return {
        kind: [LabelCount(_as_written(kind, value, details.get(number, {})), count) for value, count, number in labels]
        for kind, labels in frequent.items()
    }


def _most_frequent(session: Session, project_id: str, kind: LabelKind) -> Sequence[tuple[str, int, int]]:
    """A label as it is compared, how many memories have it, and the number of the newest of them."""
    count = sa.func.count().label("count")
    query = (
        sa.select(col(Label.value), count, sa.func.max(col(Label.memory_number)))
        .where(col(Label.project_id) == project_id, col(Label.kind) == kind)
        .group_by(col(Label.value))
        .order_by(count.desc(), col(Label.value))
        .limit(MOST_LABELS)
    )
    return [(value, number, newest) for value, number, newest in session.execute(query)]


def _as_written(kind: LabelKind, value: str, details: JsonObject) -> str:
    """A label is compared in lower case; people wrote "Anna"."""
    written = details.get(KEYS[kind])
    values = [written] if kind is LabelKind.CATEGORY and isinstance(written, str) else parse_list(written)
    return next((one for one in values if fold(one) == value), value)
