"""Rebuilds collections from SQL, in small steps so that the worker can do other work in between."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, col

from server.database import Database
from server.index import outbox
from server.index.center import Center
from server.index.exact.matrix import Matrix
from server.index.exact.matrix_cache import MatrixCache
from server.index.upkeep.progress import Progress
from server.index.words import word_index
from server.models import Project, ProjectIndex, metadata
from server.models.base import now
from server.models.stored_size import TOTAL_SIZE

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

CHROMA_BATCH = 32
"""Rows per write to Chroma, which holds the GIL while it writes."""

EPOCH_BITS = 62
"""The size of an epoch: a signed 64-bit column holds it, and no two are the same."""

_memories = metadata.tables["memories"]
_pieces = metadata.tables["pieces"]
_tasks = metadata.tables["index_tasks"]
_indexes = metadata.tables["project_indexes"]
_projects = metadata.tables["projects"]


@dataclass(frozen=True, slots=True)
class _Part:
    """The memories with `after` < number <= `last`, read when `seen` was the number of the project's newest task."""

    matrix: Matrix
    after: int
    last: int
    seen: int


def build_collection(
    database: Database, chroma: "Chroma", matrices: MatrixCache, model: str, project_id: str
) -> Iterator[Progress]:
    """Build a new collection for a project. An old one stays in use until the end. Raises ChromaFailed."""
    project = _announce(database, project_id, model)
    if project is None:
        return
    name = chroma.create_collection()
    center = _read_center(database, matrices, project_id)
    included: list[sa.ColumnElement[bool]] = []
    done = 0
    for part in _read_parts(database, matrices, project_id):
        included.append(_tasks_before(project_id, part))
        vectors = center.subtract_from(part.matrix.vectors)
        pieces = _piece_ids(part.matrix)
        for start in range(0, len(pieces), CHROMA_BATCH):
            batch = pieces[start : start + CHROMA_BATCH]
            chroma.upsert(name, batch, vectors[start : start + CHROMA_BATCH])
            done += len(batch)
            yield Progress("building a collection", done, max(project.piece_count, done))
    mean = center.mean.astype("<f4").tobytes()
    built = ProjectIndex(project_id=project_id, collection=name, embedding_model=model, mean=mean)
    _publish(database, project, built, included)


def _piece_ids(matrix: Matrix) -> list[tuple[int, int]]:
    """Return the memory number and position of each row."""
    owners = np.repeat(matrix.numbers, matrix.sizes)
    positions = np.arange(len(owners)) - np.repeat(matrix.starts, matrix.sizes)
    return list(zip(owners.tolist(), positions.tolist(), strict=True))


def _announce(database: Database, project_id: str, model: str) -> Project | None:
    """Make changes of the project write tasks, so that the collection gets those made while it is built.

    Return None if the project is gone.
    """
    with database.write() as session:
        project = session.scalars(sa.select(Project).where(col(Project.id) == project_id).with_for_update()).first()
        if project is not None and session.get(ProjectIndex, project_id) is None:
            session.add(ProjectIndex(project_id=project_id, collection="", embedding_model=model, mean=b""))
        return project


def _tasks_before(project_id: str, part: _Part) -> sa.ColumnElement[bool]:
    """Match the tasks that existed when the part's memories were read, so that the part includes their changes."""
    columns = _tasks.c
    in_part = sa.and_(columns.memory_number > part.after, columns.memory_number <= part.last)
    return sa.and_(columns.project_id == project_id, columns.number <= part.seen, in_part)


def _publish(
    database: Database, project: Project, built: ProjectIndex, included: Sequence[sa.ColumnElement[bool]]
) -> None:
    """Put the new collection to use. The worker deletes the old one, or this one if the project is gone.

    Deletes the included tasks only now, all at once, because SQLite reuses the number of a deleted task.
    """
    with database.write() as session:
        for tasks in included:
            session.execute(sa.delete(_tasks).where(tasks))
        row = session.get(ProjectIndex, built.project_id)
        if row is not None:
            row.collection = built.collection
            row.embedding_model = built.embedding_model
            row.mean = built.mean
            row.removals = project.removals
            row.ready_at = now()


def _read_center(database: Database, matrices: MatrixCache, project_id: str) -> Center:
    total, count = np.zeros(0), 0
    for part in _read_parts(database, matrices, project_id):
        vectors = part.matrix.vectors
        total = vectors.sum(axis=0, dtype=np.float64) + (total if total.size else 0.0)
        count += len(vectors)
    return Center.of_sum(total, count)


def _read_parts(database: Database, matrices: MatrixCache, project_id: str) -> Iterator[_Part]:
    """Read each part in its own transaction: SQLite cannot empty its log while an old snapshot is open."""
    # Purge tasks do not count: they may be deleted at any time, and SQLite reuses their numbers.
    not_purge = _tasks.c.memory_number != outbox.PURGE
    newest_task = sa.select(sa.func.max(_tasks.c.number)).where(_tasks.c.project_id == project_id, not_purge)
    after = 0
    while True:
        with database.read() as session:
            part = matrices.read_part(session, project_id, after)
            seen = session.scalar(newest_task) or 0
        if part is None:
            return
        matrix, last = part
        yield _Part(matrix, after, last, seen)
        after = last


def recount(database: Database) -> None:
    """Count the memories and pieces of each project again, and delete the words of memories that no longer exist.

    Begin a new epoch of the counters, so that no process believes a matrix that it read before.
    """
    with database.write() as session:
        word_index.forget_orphans(session)
        counts = {"memory_count": _count_of(_memories), "piece_count": _count_of(_pieces), "memory_bytes": _size()}
        session.execute(sa.update(_projects).values(counts))
        begin_epoch(session)


def begin_epoch(session: Session) -> None:
    """Make all processes read their matrices again."""
    session.execute(sa.update(_projects).values(epoch=secrets.randbits(EPOCH_BITS)))


def _count_of(table: sa.Table) -> sa.ScalarSelect[int]:
    """Return the number of rows of `table` that belong to the project of the surrounding statement."""
    query = sa.select(sa.func.count()).select_from(table).where(table.c.project_id == _projects.c.id)
    return query.scalar_subquery()


def _size() -> sa.ScalarSelect[int]:
    """Return the bytes of the memories of the project of the surrounding statement."""
    return sa.select(TOTAL_SIZE).where(_memories.c.project_id == _projects.c.id).scalar_subquery()


def forget_collections(database: Database) -> None:
    """Mark all collections for rebuilding."""
    with database.write() as session:
        session.execute(sa.update(_indexes).values(ready_at=None))
