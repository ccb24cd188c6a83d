"""Counts the memories of a project that pass filters, from indexes alone where possible."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.expiry import count_expired
from server.domain.memory.filters import Filters, conditions, having, label_groups, labeled, narrowing
from server.models import Label, Memory, Project
from server.storage.statements import count_rows

FEW = 1_000
"""For a page, a database finds and sorts at most this many matching memories."""


def count_all(session: Session, project: Project) -> int:
    """Return how many memories the project has, not counting expired ones."""
    return project.memory_count - count_expired(session, project.id)


def count(session: Session, project: Project, filters: Filters, most: int | None = None) -> int:
    """Return how many memories pass the filters, not counting expired ones. Stop at `most`.

    No index holds expiry times. So while expired memories are waiting for their deletion, the rows of all matching
    memories are read.
    """
    if filters.is_empty:
        return count_all(session, project)
    return count_rows(session, _numbers(session, project, filters).limit(most).subquery())


def are_few(session: Session, project: Project, filters: Filters, most: int) -> bool:
    return count(session, project, filters, most + 1) <= most


def numbers_of(session: Session, project: Project, filters: Filters, most: int) -> Sequence[int] | None:
    """Return the numbers of the memories that pass the filters, or None if there are more than `most`."""
    numbers = session.scalars(_numbers(session, project, filters).limit(most + 1)).all()
    return numbers if len(numbers) <= most else None


def _numbers(session: Session, project: Project, filters: Filters) -> sa.Select[int]:
    project_id = project.id
    if count_expired(session, project_id):
        return sa.select(col(Memory.number)).where(*conditions(filters, project_id, are_few=True))
    if not filters.has_only_labels:
        matching = [col(Memory.project_id) == project_id, *narrowing(filters, project_id, list_labeled=True)]
        return sa.select(col(Memory.number)).where(*matching)
    (kind, values), *others = label_groups(filters)
    query = labeled(project_id, kind, values).where(*having(col(Label.memory_number), project_id, others))
    return query if len(values) == 1 else query.distinct()
