"""The queries that choose background work: which tasks, which memories' vectors and which projects' collections."""

from datetime import datetime, timedelta
from typing import TypeAlias

import sqlalchemy as sa
from sqlmodel import Session

from server.index.outbox import PURGE
from server.models import metadata
from server.models.base import is_within
from server.models.projects import IS_DELETED

ERASE_AFTER = timedelta(hours=20)
"""Collections' files are rewritten after this time, so that deleted vectors are gone within a day."""

REBUILD_ONE_IN = 5
"""A collection is rebuilt when it has more than one deleted memory for this many others."""

_memories = metadata.tables["memories"]
_tasks = metadata.tables["index_tasks"]
_projects = metadata.tables["projects"]
_indexes = metadata.tables["project_indexes"]


Task: TypeAlias = sa.Row[int, str, int, int, datetime, int]
"""A change of a memory that Chroma has to follow: columns of `IndexTask`, and how many pieces the memory has or had."""


def applicable_tasks(mine: sa.ColumnElement[bool]) -> sa.Select[int, str, int, int, datetime, int]:
    """Select the tasks of projects of `mine` that Chroma can follow, oldest first.

    Tasks of projects whose collections are still to be built are left out, because the build reads the current
    memories. Tasks of a project without any collection are included, so that they are cleared.
    """
    task, index = _tasks.c, _indexes.c
    is_applicable = sa.or_(index.project_id.is_(None), index.ready_at.is_not(None), index.building != "")
    joined = _tasks.outerjoin(_indexes, index.project_id == task.project_id)
    pieces = sa.func.coalesce(_memories.c.piece_count, 0) + task.piece_count
    return (
        sa.select(task.number, task.project_id, task.memory_number, task.piece_count, task.created_at, pieces)
        .select_from(joined.outerjoin(_memories, _memories.c.number == task.memory_number))
        .where(task.memory_number != PURGE, is_applicable, mine)
        .order_by(task.number)
    )


def memories_of_other_models(model: str) -> sa.ColumnElement[bool]:
    """Match the memories whose vectors do not come from `model`. Unlike !=, this can use the database's index."""
    return sa.or_(_memories.c.embedding_model < model, _memories.c.embedding_model > model)


def other_models(session: Session, model: str) -> list[str]:
    """Return the names of the other models that made vectors, and "" first if some memories have none. Each name takes
    one step in the index.
    """
    name = _memories.c.embedding_model
    names: list[str] = []
    after: sa.ColumnElement[bool] = sa.true()
    while found := session.scalars(sa.select(name).where(after).order_by(name).limit(1)).all():
        names += found
        after = name > names[-1]
    return [name for name in names if name != model]


def projects_without_collection(model: str, exact_scan_limit: int) -> sa.Select[str]:
    """Select the projects that have outgrown exact scanning and have no ready collection of `model`. A project that had
    a collection needs one until it has shrunk to half the limit, when `erasing.sweep` forgets it.
    """
    project, index = _projects.c, _indexes.c
    may_be_large = project.piece_count * 2 > exact_scan_limit  # without this, SQLite joins all projects
    is_large = sa.and_(may_be_large, sa.or_(project.piece_count > exact_scan_limit, index.project_id.is_not(None)))
    lacks = sa.or_(index.project_id.is_(None), index.ready_at.is_(None), index.embedding_model != model)
    joined = _projects.outerjoin(_indexes, index.project_id == project.id)
    return sa.select(project.id).select_from(joined).where(is_large, lacks, ~IS_DELETED)


def next_project(session: Session, model: str, exact_scan_limit: int, mine: sa.ColumnElement[bool]) -> str | None:
    """Return the smallest project of `mine` without a collection, or else one whose collection has many deleted
    vectors.
    """
    missing = projects_without_collection(model, exact_scan_limit).where(mine)
    smallest = session.scalar(missing.order_by(_projects.c.piece_count).limit(1))
    return smallest or session.scalar(bloated_projects().where(mine).limit(1))


def bloated_projects() -> sa.Select[str]:
    """Select the projects whose collection has many deleted vectors, or is being rebuilt for that reason."""
    project, index = _projects.c, _indexes.c
    is_bloated = (project.removals - index.removals) * REBUILD_ONE_IN > project.memory_count
    is_begun = index.building != ""
    return sa.select(project.id).select_from(_joined()).where(index.ready_at.is_not(None), is_bloated | is_begun)


def next_to_erase(session: Session, mine: sa.ColumnElement[bool]) -> tuple[str, str, int] | None:
    """Return a project whose files have held deleted vectors for too long, with its collection and its number of
    removals. Projects with changes that Chroma has not applied yet are left out.
    """
    project, index = _projects.c, _indexes.c
    is_due = sa.and_(project.removals > index.erased, ~is_within(index.erased_at, ERASE_AFTER))
    is_followed = ~sa.exists().where(_tasks.c.project_id == project.id, _tasks.c.memory_number != PURGE)
    due = sa.select(project.id, index.collection, project.removals).select_from(_joined())
    row = session.execute(due.where(index.ready_at.is_not(None), is_due, is_followed, mine).limit(1)).first()
    return (row[0], row[1], row[2]) if row else None


def _joined() -> sa.Join:
    """Join collections and their projects. SQLite reads the first table as a whole, so the smaller one is first."""
    return _indexes.join(_projects, _projects.c.id == _indexes.c.project_id)
