"""Filters that select memories of a project. SQL applies them before any limit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory.labels import distinct, stored_entries, stored_forms
from server.domain.memory.source import source_conditions
from server.errors import Invalid
from server.models import Label, Memory
from server.models.base import JSON, JsonObject, now, smallest_id
from server.models.memories import LabelKind, is_live

Condition = sa.ColumnElement[bool]
LabelGroup = tuple[LabelKind, list[str]]
"""A kind of label, and the values to look for in the form of `labels.fold`."""

_CONNECTIVES = frozenset(("and", "or", "not", "must", "should", "mustnot"))
"""What other memory servers write, perhaps with a `$` before it, to combine filters: {"OR": [{"price": 5}, …]}."""

_COMPARISONS = frozenset((
    *("eq", "ne", "neq", "gt", "gte", "lt", "lte", "nin", "contains", "icontains"),
    *("=", "==", "!=", ">", ">=", "<", "<=", "and", "or", "not"),
    *("like", "ilike", "notlike", "regex", "startswith", "endswith"),
))  # fmt: skip
"""What they write for a comparison, in any case and perhaps with underscores: {"price": {"gte": 5}}."""

_COMPARISONS_WITH: dict[str, type] = {
    **dict.fromkeys(("in", "notin", "between", "notbetween", "containsany", "containsall"), list),
    **dict.fromkeys(("range", "match"), dict),
    **dict.fromkeys(("exists", "notexists", "isnull", "notnull", "isempty"), bool),
}
"""Comparisons only before a value of this type. Before others, they are names like any: {"width": {"in": 30}}."""

CLOCK_SLACK = timedelta(days=1)
"""Ids embed a time that may differ from `created_at` by this much, e.g. after the clock was set back."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Each field narrows the result; its default matches everything. All fields must match.

    `tags` and `people` match any of their values, or all tags with `match_all_tags`. `metadata` matches the exact value
    of each key. `created_from` is inclusive, `created_until` exclusive. `source` is a kind of source or the id of one.
    """

    user_id: str | None = None
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    people: tuple[str, ...] = ()
    category: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    metadata: JsonObject = field(default_factory=dict)
    source: str | None = None
    pinned: bool | None = None

    def __post_init__(self) -> None:
        """Raises Invalid for an operator in `metadata`: values are compared as a whole, so it would match nothing."""
        for key, value in self.metadata.items():
            if _combines(key, value):
                raise Invalid(
                    "is an operator, but filters compare exact values: leave it out.", field=f"metadata.{key}"
                )
            if isinstance(value, dict) and value and all(_compares(*part) for part in value.items()):
                raise Invalid(
                    "has an operator, but filters compare exact values: leave it out.", field=f"metadata.{key}"
                )

    @property
    def is_empty(self) -> bool:
        return self == _NO_FILTERS

    @property
    def has_only_labels(self) -> bool:
        """Whether labels are filtered, and nothing else."""
        others = (self.user_id, self.created_from, self.created_until, self.source, self.pinned)
        return all(one is None for one in others) and bool(label_groups(self))


def _combines(key: str, value: JSON) -> bool:
    filters = value if isinstance(value, list) else [value]
    is_connective = key.startswith("$") or _word(key) in _CONNECTIVES
    return is_connective and all(isinstance(part, dict) for part in filters)


def _compares(name: str, value: JSON) -> bool:
    word = _word(name)
    return name.startswith("$") or word in _COMPARISONS or isinstance(value, _COMPARISONS_WITH.get(word, ()))


def _word(name: str) -> str:
    return name.casefold().replace("_", "")


_NO_FILTERS = Filters()


def conditions(filters: Filters, project_id: str, *, are_few: bool = False) -> list[Condition]:
    """Return the SQL conditions on `Memory` for the project's memories that have not expired and pass the filters.

    If few memories do, and only labels are filtered, the query should begin with the labels. Then the condition for the
    project is an expression, because with a plain column SQLite would scan the whole project.
    """
    is_hidden = are_few and filters.has_only_labels
    project = sa.func.coalesce(col(Memory.project_id), "") if is_hidden else col(Memory.project_id)
    return [project == project_id, is_live(now()), *narrowing(filters, project_id, list_labeled=are_few)]


def by_age(*, are_few: bool) -> sa.SQLColumnExpression[str]:
    """Return what to sort memories by, so that the newest come first.

    With the plain id, a database scans the project's memories in order. With an expression, it finds the few memories
    that pass a filter by the filter's index, and sorts them.
    """
    return sa.func.coalesce(col(Memory.id), "") if are_few else col(Memory.id)


def narrowing(filters: Filters, project_id: str, *, list_labeled: bool = False) -> list[Condition]:
    """Return the conditions of the filters alone, for live memories of the project.

    With `list_labeled`, a database lists all memories with the labels, and may begin with them. Otherwise it looks for
    the labels of each memory that it reads, which is faster if it reads few.
    """
    groups = label_groups(filters)
    matching = having(col(Memory.number), project_id, groups) if list_labeled else _carrying(project_id, groups)
    if filters.pinned is not None:
        matching.append(col(Memory.pinned) == (sa.true() if filters.pinned else sa.false()))
    if filters.user_id is not None:
        matching.append(col(Memory.user_id) == filters.user_id)
    if filters.source is not None:
        matching += source_conditions(filters.source)
    return matching + _time_conditions(filters.created_from, filters.created_until)


def label_groups(filters: Filters) -> list[LabelGroup]:
    """Return the groups of labels. A memory must have at least one label of each group."""
    tags = [[tag] for tag in distinct(filters.tags)] if filters.match_all_tags else [filters.tags]
    groups = [(LabelKind.TAG, stored_forms(alternatives)) for alternatives in tags]
    groups.append((LabelKind.PERSON, stored_forms(filters.people)))
    groups.append((LabelKind.CATEGORY, stored_forms([filters.category] if filters.category else [])))
    groups += [(LabelKind.METADATA, stored_entries(key, value)) for key, value in filters.metadata.items()]
    return [(kind, values) for kind, values in groups if values]


def having(number: sa.SQLColumnExpression[int], project_id: str, groups: Sequence[LabelGroup]) -> list[Condition]:
    """Return the conditions under which the memory with this number has a label of each group."""
    return [number.in_(labeled(project_id, kind, values)) for kind, values in groups]


def labeled(project_id: str, kind: LabelKind, values: Sequence[str]) -> sa.Select[int]:
    """Select the numbers of the memories that have one of these labels, once for each that they have."""
    wanted = (col(Label.project_id) == project_id, col(Label.kind) == kind, col(Label.value).in_(values))
    return sa.select(col(Label.memory_number)).where(*wanted)


def _carrying(project_id: str, groups: Sequence[LabelGroup]) -> list[Condition]:
    """Like `having`, as a search among the labels of one memory."""
    number = col(Memory.number)
    return [
        labeled(project_id, kind, values).where(col(Label.memory_number) == number).exists() for kind, values in groups
    ]


def _time_conditions(start: datetime | None, end: datetime | None) -> list[Condition]:
    """Return the conditions for a creation time. `created_at` decides near the limits; elsewhere the id, which has an
    index, so that no row has to be read.
    """
    memory_id, created_at = col(Memory.id), col(Memory.created_at)
    matching: list[Condition] = []
    if start is not None:
        is_later = sa.or_(memory_id >= _smallest_id(start, CLOCK_SLACK), created_at >= start)
        matching += [memory_id >= _smallest_id(start, -CLOCK_SLACK), is_later]
    if end is not None:
        is_earlier = sa.or_(memory_id < _smallest_id(end, -CLOCK_SLACK), created_at < end)
        matching += [memory_id < _smallest_id(end, CLOCK_SLACK), is_earlier]
    return matching


def _smallest_id(moment: datetime, slack: timedelta) -> str:
    """Return the lower bound of the ids of memories from `moment + slack` on. That sum may be no datetime."""
    return smallest_id("mem_", int((moment.timestamp() + slack.total_seconds()) * 1000))
