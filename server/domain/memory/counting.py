"""Counts the memories of a project that pass filters, from indexes alone where they have all that is asked."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.expiry import expired_ids
from server.domain.memory.filters import Filters, LabelGroup, conditions, having, label_groups, narrowing
from server.models import Label, Memory, Project


def count_all(session: Session, project: Project) -> int:
    """Return how many memories the project has, not counting expired ones."""
    return project.memory_count - len(expired_ids(session, project.id))


def count(session: Session, project: Project, filters: Filters) -> int:
    """Return how many memories pass the filters, not counting expired ones.

    No index has the times of expiry, so the rows of all matching memories are read as long as some have expired and are
    not deleted yet.
    """
    if filters.is_empty:
        return count_all(session, project)
    if expired_ids(session, project.id):
        return _count(session, conditions(filters, project.id))
    groups = label_groups(filters)
    if groups and filters.has_only_labels:
        return _count_labels(session, project.id, groups)
    return _count(session, [col(Memory.project_id) == project.id, *narrowing(filters, project.id)])


def _count(session: Session, matching: Sequence[sa.ColumnElement[bool]]) -> int:
    return session.scalars(sa.select(sa.func.count()).select_from(Memory).where(*matching)).one()


def _count_labels(session: Session, project_id: str, groups: Sequence[LabelGroup]) -> int:
    """Count the labels of the first group whose memories have those of the others."""
    (kind, values), *others = groups
    number = col(Label.memory_number)
    counted = sa.func.count() if len(values) == 1 else sa.func.count(number.distinct())
    query = sa.select(counted).where(
        col(Label.project_id) == project_id, col(Label.kind) == kind, col(Label.value).in_(values)
    )
    return session.scalars(query.where(*having(number, project_id, others))).one()
