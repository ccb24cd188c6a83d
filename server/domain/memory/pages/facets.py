"""Counts the memories with each tag, person, category and source: in a project, within filters, or in a list."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory import counting
from server.domain.memory.expiry import of_live_memories
from server.domain.memory.filters import Filters, by_age, conditions
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, fold, parse_list
from server.models import Label, Memory
from server.models.base import JsonObject
from server.models.memories import LabelKind
from server.models.sources import SourceKind
from server.principal import Principal
from server.storage.statements import Query, as_json, numbers_in

METADATA_KEYS = {LabelKind.TAG: TAGS, LabelKind.CATEGORY: CATEGORY, LabelKind.PERSON: PEOPLE}
MOST_VALUES = 30
MOST_COUNTED = 1_000
"""How many of the newest memories to count, so that a large project's page loads fast."""

MOST_NAMED = 100
"""How many of the newest memories to look at for names of details: each may have 16 KB of them."""

MOST_SORTED = 5 * MOST_COUNTED
"""Up to this many matching memories are all found and sorted, to know the newest ones."""


class Facet(NamedTuple):
    """A value that filters accept, the name that people read, and how many memories have it. The browsers of people
    are one source, whose value is its kind.
    """

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
    are_few = counting.are_few(session, project, filters, MOST_SORTED)
    matching = sa.select(col(Memory.number)).where(*conditions(filters, project.id, are_few=are_few))
    matching = matching.order_by(by_age(are_few=are_few).desc()).limit(MOST_COUNTED)
    numbers = as_json(session.scalars(matching).all())
    counted: dict[str, list[_Counted]] = {kind: [] for kind in METADATA_KEYS}
    for kind, *row in _LABELS.rows(session, numbers=numbers):
        counted[kind].append(_Counted(*row))
    ranked = {kind: sorted(found, key=lambda one: (-one.memories, one.value)) for kind, found in counted.items()}
    labels = _named(session, {kind: ranked[kind][:MOST_VALUES] for kind in METADATA_KEYS})
    sources = [
        Facet(source, name or "Unnamed", memories) for source, name, memories in _SOURCES.rows(session, numbers=numbers)
    ]
    return Facets(labels[LabelKind.TAG], labels[LabelKind.PERSON], labels[LabelKind.CATEGORY], sources)


def detail_names(session: Session, principal: Principal, project_id: str) -> list[str]:
    """Return the names of the other metadata in the newest memories, most frequent first. Raises the errors of
    `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    newest = sa.select(col(Memory.details)).where(*conditions(Filters(), project.id, are_few=False))
    newest = newest.order_by(by_age(are_few=False).desc()).limit(MOST_NAMED)
    labels = METADATA_KEYS.values()
    counts = Counter(name for details in session.scalars(newest) for name in details if name not in labels)
    return [name for name, _ in counts.most_common(MOST_VALUES)]


def frequent_labels(session: Session, project_id: str, kind: LabelKind, limit: int) -> Frequent:
    """Return the most frequent labels of one kind, each spelled as in the newest memory that has it."""
    count = sa.func.count().label("count")
    query = (
        sa.select(col(Label.value), count, sa.func.max(col(Label.memory_number)), sa.func.count().over())
        .where(col(Label.kind) == kind, *of_live_memories(session, project_id))
        .group_by(col(Label.value))
        .order_by(count.desc(), col(Label.value))
        .limit(limit)
    )
    rows = session.execute(query).all()
    labels = _named(session, {kind: [_Counted(*row[:3]) for row in rows]})
    return Frequent(labels[kind], rows[0][3] if rows else 0)


def facets_of(memories: Sequence[Memory]) -> Facets:
    details = [memory.details for memory in memories]
    sources = [memory.source for memory in memories if memory.source]
    values = [source.kind if source.kind == SourceKind.SESSION else source.id for source in sources]
    names = {value: source.name for value, source in zip(values, sources, strict=True)}
    counts = Counter(values)
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


class _Counted(NamedTuple):
    """A label in the form of `labels.fold`, how many memories have it, and the number of the newest of them."""

    value: str
    memories: int
    newest: int


def _named(session: Session, labels: Mapping[LabelKind, Sequence[_Counted]]) -> dict[LabelKind, list[Facet]]:
    """Return the labels with the names that people read."""
    newest = as_json({label.newest for counted in labels.values() for label in counted})
    details: dict[int, JsonObject] = {row[0]: row[1] for row in _DETAILS.rows(session, numbers=newest)}
    named: dict[LabelKind, list[Facet]] = {}
    for kind, counted in labels.items():
        names = [_as_written(kind, label.value, details.get(label.newest, {})) for label in counted]
        named[kind] = [Facet(name, name, label.memories) for name, label in zip(names, counted, strict=True)]
    return named


def _as_written(kind: LabelKind, value: str, details: JsonObject) -> str:
    """Return the label as the metadata spells it: labels are compared as "anna", but people write "Anna"."""
    return next((name for name in _values(details, METADATA_KEYS[kind]) if fold(name) == value), value)


_LABEL = (col(Label.kind), col(Label.value))
_LABELS = Query(
    sa.select(*_LABEL, sa.func.count(), sa.func.max(col(Label.memory_number)))
    .where(col(Label.memory_number).in_(numbers_in("numbers")), col(Label.kind) != LabelKind.METADATA)
    .group_by(*_LABEL)
)
_DETAILS = Query(
    sa.select(col(Memory.number), col(Memory.details)).where(col(Memory.number).in_(numbers_in("numbers")))
)
_COUNT = sa.func.count().label("count")
_SOURCE = sa.case(
    (col(Memory.source_kind) == SourceKind.SESSION, SourceKind.SESSION), else_=col(Memory.source_id)
).label("source")
_SOURCES = Query(
    sa.select(_SOURCE, sa.func.max(col(Memory.source_name)), _COUNT)
    .where(col(Memory.number).in_(numbers_in("numbers")), col(Memory.source_id).is_not(None))
    .group_by(_SOURCE)
    .order_by(_COUNT.desc(), _SOURCE)
    .limit(sa.literal(MOST_VALUES))
)
