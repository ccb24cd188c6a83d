"""Filters: which of a project's memories are meant, as conditions that SQL applies before any limit."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory.labels import fold, hash_entry
from server.models import Label, Memory
from server.models.base import JsonObject
from server.models.memories import LabelKind

CLOCK_SLACK = timedelta(days=1)
"""How far the time in an id may be from the `created_at` beside it: a clock that was set back does not go unnoticed."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What each field leaves out is everything else; its default leaves out nothing. Times are half open."""

    user_id: str | None = None
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    people: tuple[str, ...] = ()
    category: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    metadata: JsonObject = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self == _NONE


_NONE = Filters()


def conditions(filters: Filters, project_id: str) -> list[sa.ColumnElement[bool]]:
    """Conditions over `Memory`'s columns for the project's memories that pass."""
    return [col(Memory.project_id) == project_id, *conditions_within_project(filters, project_id)]


def conditions_within_project(filters: Filters, project_id: str) -> list[sa.ColumnElement[bool]]:
    """As `conditions`, for memories that are known to be the project's."""
    wanted = _labelled(filters, project_id)
    if filters.user_id is not None:
        wanted.append(col(Memory.user_id) == filters.user_id)
    wanted += _created(filters.created_from, filters.created_until)
    return wanted


def _labelled(filters: Filters, project_id: str) -> list[sa.ColumnElement[bool]]:
    tags = sorted({fold(tag) for tag in filters.tags})
    sets = [(LabelKind.TAG, [tag]) for tag in tags] if filters.match_all_tags else [(LabelKind.TAG, tags)]
    sets.append((LabelKind.PERSON, sorted({fold(person) for person in filters.people})))
    sets.append((LabelKind.CATEGORY, [fold(filters.category)] if filters.category else []))
    sets += [(LabelKind.METADATA, [hash_entry(key, value)]) for key, value in filters.metadata.items()]
    return [_has_any(project_id, kind, values) for kind, values in sets if values]


def _has_any(project_id: str, kind: LabelKind, values: list[str]) -> sa.ColumnElement[bool]:
    labelled = sa.select(col(Label.memory_number)).where(
        col(Label.project_id) == project_id, col(Label.kind) == kind, col(Label.value).in_(values)
    )
    return col(Memory.number).in_(labelled)


def _created(start: datetime | None, end: datetime | None) -> list[sa.ColumnElement[bool]]:
    """The id tells roughly when, and has an index: it narrows, `created_at` decides."""
    wanted: list[sa.ColumnElement[bool]] = []
    if start is not None:
        wanted += [col(Memory.created_at) >= start, col(Memory.id) >= _first_id(start, -CLOCK_SLACK)]
    if end is not None:
        wanted += [col(Memory.created_at) < end, col(Memory.id) < _first_id(end, CLOCK_SLACK)]
    return wanted


def _first_id(moment: datetime, slack: timedelta) -> str:
    """What all ids made from then on are greater than (UUIDv7 begins with 48 bits of milliseconds)."""
    milliseconds = int((moment.timestamp() + slack.total_seconds()) * 1000)
    return f"mem_{min(max(milliseconds, 0), 2**48 - 1):012x}"
