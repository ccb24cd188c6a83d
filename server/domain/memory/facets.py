"""Counts the memories with each tag, person, category and source: in a project, within filters, or in a list."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.database import id_subquery
from server.domain.access import Action, require_project
from server.domain.memory import counting
from server.domain.memory.expiry import of_live_memories
from server.domain.memory.filters import Filters, conditions
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, fold, parse_list
from server.models import Label, Memory
from server.models.base import JsonObject
from server.models.memories import LabelKind
from server.principal import Principal

METADATA_KEYS = {LabelKind.TAG: TAGS, LabelKind.CATEGORY: CATEGORY, LabelKind.PERSON: PEOPLE}
MOST_VALUES = 30
MOST_COUNTED = 1_000
"""How many of the newest memories to count, so that a large project's page loads fast."""


class Facet(NamedTuple):
    """A value that filters accept, the name that people read, and how many memories have it."""

    value: str
    name: str
    memories: int


class Frequent(NamedTuple):
    """The most frequent labels of one kind, and how many different ones there are."""

    labels: Sequence[Facet]
    distinct: int


class Facets(NamedTuple):
    """The most frequent values, most frequent first, among at most the newest MOST_COUNTED memories."""

    tags: Sequence[Facet] = ()
    people: Sequence[Facet] = ()
    categories: Sequence[Facet] = ()
    sources: Sequence[Facet] = ()

    @property
    def source_names(self) -> dict[str, str]:
        """The names of the sources by their ids."""
        return {source.value: source.name for source in self.sources}


def facets(session: Session, principal: Principal, project_id: str, filters: Filters) -> Facets:
    """Count the newest memories of the project that pass the filters. Raises the errors of `require_project`."""
    project = require_project(session, principal, project_id, Action.READ)
    are_few = counting.count(session, project, filters, most=MOST_COUNTED + 1) <= MOST_COUNTED
    matching = sa.select(col(Memory.number)).where(*conditions(filters, project.id, are_few=are_few))
    if not are_few:
        matching = matching.order_by(col(Memory.id).desc()).limit(MOST_COUNTED)
    numbers = id_subquery(session, session.scalars(matching).all())
    counted = col(Label.memory_number).in_(numbers)
    labels = {kind: _labels(session, kind, [counted], MOST_VALUES).labels for kind in METADATA_KEYS}
    return Facets(
        labels[LabelKind.TAG], labels[LabelKind.PERSON], labels[LabelKind.CATEGORY], _sources(session, numbers)
    )


def frequent_labels(session: Session, project_id: str, kind: LabelKind, limit: int) -> Frequent:
    """Return the most frequent labels of one kind, each spelled as in the newest memory that has it."""
    return _labels(session, kind, of_live_memories(session, project_id), limit)


def facets_of(memories: Sequence[Memory]) -> Facets:
    """Count these memories."""
    details = [memory.details for memory in memories]
    sources = [memory.source for memory in memories if memory.source]
    names = {source.id: source.name for source in sources}
    counts = Counter(source.id for source in sources)
    by_source = [Facet(one, names[one], count) for one, count in counts.most_common(MOST_VALUES)]
    return Facets(_count(details, TAGS), _count(details, PEOPLE), _count(details, CATEGORY), by_source)


def _values(details: JsonObject, key: str) -> Sequence[str]:
    value = details.get(key)
    if key == CATEGORY:
        return [value] if isinstance(value, str) else []
    return parse_list(value)


def _count(many: Iterable[JsonObject], key: str) -> list[Facet]:
    names: dict[str, str] = {}
    counts = Counter[str]()
    for details in many:
        values = {fold(name): name for name in _values(details, key) if fold(name)}
        counts.update(values.keys())
        names |= values
    return [Facet(names[value], names[value], count) for value, count in counts.most_common(MOST_VALUES)]


def _labels(session: Session, kind: LabelKind, matching: Sequence[sa.ColumnElement[bool]], limit: int) -> Frequent:
    count = sa.func.count().label("count")
    distinct = sa.func.count().over()
    query = (
        sa.select(col(Label.value), count, sa.func.max(col(Label.memory_number)), distinct)
        .where(col(Label.kind) == kind, *matching)
        .group_by(col(Label.value))
        .order_by(count.desc(), col(Label.value))
        .limit(limit)
    )
    rows = session.execute(query).all()
    newest = sa.select(col(Memory.number), col(Memory.details)).where(col(Memory.number).in_([row[2] for row in rows]))
    details = {row[0]: row[1] for row in session.execute(newest)}
    names = [_as_written(kind, value, details.get(number, {})) for value, _, number, _ in rows]
    labels = [Facet(name, name, row[1]) for name, row in zip(names, rows, strict=True)]
    return Frequent(labels, rows[0][3] if rows else 0)


def _as_written(kind: LabelKind, value: str, details: JsonObject) -> str:
    """Return the label as the metadata spells it: labels are compared as "anna", but people write "Anna"."""
    return next((name for name in _values(details, METADATA_KEYS[kind]) if fold(name) == value), value)


def _sources(session: Session, numbers: sa.Select[int]) -> list[Facet]:
    count = sa.func.count().label("count")
    query = (
        sa.select(col(Memory.source_id), sa.func.max(col(Memory.source_name)), count)
        .where(col(Memory.number).in_(numbers), col(Memory.source_id).is_not(None))
        .group_by(col(Memory.source_id))
        .order_by(count.desc())
        .limit(MOST_VALUES)
    )
    return [Facet(source, name or "Unnamed", memories) for source, name, memories in session.execute(query)]
