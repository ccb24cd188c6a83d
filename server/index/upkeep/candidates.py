"""The queries that choose background work: which tasks, which memories' vectors and which projects' collections."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session

from server.index.outbox import PURGE
from server.models import metadata
from server.models.base import now

COMPACT_AFTER = timedelta(hours=20)
"""Collections with deleted vectors are rebuilt at this age, so that the vectors are gone within a day."""

COMPACT_ONE_IN = 5
"""Collections are rebuilt at once when more than one vector in this many is deleted."""

_memories = metadata.tables["memories"]
_tasks = metadata.tables["index_tasks"]
_projects = metadata.tables["projects"]
_indexes = metadata.tables["project_indexes"]


@dataclass(frozen=True, slots=True)
class Task:
    """A change of a memory that Chroma has to follow. `piece_count` is how many pieces it may still hold."""

    number: int
    project_id: str
    memory_number: int
    piece_count: int


def applicable_tasks() -> sa.Select[int, str, int, int, datetime]:
    """Select the tasks that Chroma can follow, oldest first, except of projects whose collections are being built.

    Tasks of a project without any collection are included, so that they are cleared.
    """
    columns = _tasks.c
    is_applicable = sa.or_(_indexes.c.project_id.is_(None), _indexes.c.ready_at.is_not(None))
    return (
        sa.select(columns.number, columns.project_id, columns.memory_number, columns.piece_count, columns.created_at)
        .select_from(_tasks.outerjoin(_indexes, _indexes.c.project_id == columns.project_id))
        .where(columns.memory_number != PURGE, is_applicable)
        .order_by(columns.number)
    )


def is_newer(moment: datetime, seconds: float) -> bool:
    """Return whether the time is less than this many seconds ago. A time in the future is not: it was written before
    the clock was set back.
    """
    return timedelta(0) <= now() - moment < timedelta(seconds=seconds)


def memories_of_other_models(model: str) -> sa.ColumnElement[bool]:
    """Match the memories whose vectors do not come from `model`. Unlike !=, this can use the database's index."""
    return sa.or_(_memories.c.embedding_model < model, _memories.c.embedding_model > model)


def other_models(session: Session, model: str) -> list[str]:
    """Return the names of the other models that made vectors, "" for no vectors first. Each takes one index step."""
    name = _memories.c.embedding_model
    names: list[str] = []
    after: sa.ColumnElement[bool] = sa.true()
    while found := session.scalars(sa.select(name).where(after).order_by(name).limit(1)).all():
        names += found
        after = name > names[-1]
    return [name for name in names if name != model]


def projects_without_collection(model: str, exact_scan_limit: int) -> sa.Select[str]:
    """Select the projects that have outgrown exact scanning and have no ready collection of `model`."""
    project, index = _projects.c, _indexes.c
    lacks = sa.or_(index.project_id.is_(None), index.ready_at.is_(None), index.embedding_model != model)
    joined = _projects.outerjoin(_indexes, index.project_id == project.id)
    return sa.select(project.id).select_from(joined).where(project.piece_count > exact_scan_limit, lacks)


def next_project(session: Session, model: str, exact_scan_limit: int) -> str | None:
    """Return the smallest project without a collection, or else one whose collection should be compacted."""
    missing = projects_without_collection(model, exact_scan_limit)
    smallest = session.scalar(missing.order_by(_projects.c.piece_count).limit(1))
    return smallest or session.scalar(projects_to_compact().limit(1))


def projects_to_compact() -> sa.Select[str]:
    """Select the projects whose collection holds deleted vectors that are old, or many of them."""
    project, index = _projects.c, _indexes.c
    removed = project.removals - index.removals
    is_old = sa.and_(removed > 0, index.ready_at < now() - COMPACT_AFTER)
    is_bloated = removed * COMPACT_ONE_IN > project.memory_count
    joined = _projects.join(_indexes, index.project_id == project.id)
    return sa.select(project.id).select_from(joined).where(sa.or_(is_old, is_bloated))
