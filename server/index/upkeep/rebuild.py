"""Builds collections from SQL, in small steps so that the worker can do other work in between.

The database records what is left, so that another process, or this one after a failure, continues where a build
stopped.
"""

import secrets
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, col

from server.index.center import mean_of
from server.index.chroma.collections import Collection
from server.index.exact.matrix_cache import MatrixCache
from server.index.outbox import PURGE
from server.index.upkeep import following
from server.index.upkeep.following import Between
from server.index.upkeep.progress import Progress
from server.index.words.backend import word_index_of
from server.models import Project, ProjectIndex, metadata
from server.models.base import now
from server.models.projects import IS_DELETED
from server.models.stored_size import TOTAL_SIZE
from server.storage.database import Database

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

STEP_PIECES = 256
"""Maximum number of pieces that a step writes, unless a single memory has more."""

EPOCH_BITS = 62
"""The size of a random epoch. It fits into a signed 64-bit column and is large enough that no two are the same."""

_memories = metadata.tables["memories"]
_pieces = metadata.tables["pieces"]
_tasks = metadata.tables["index_tasks"]
_indexes = metadata.tables["project_indexes"]
_projects = metadata.tables["projects"]


def build_collection(
    database: Database, chroma: "Chroma", matrices: MatrixCache, model: str, project_id: str, between: Between
) -> Iterator[Progress]:
    """Build a new collection for a project, or continue the build. An old collection stays in use until the end.
    Between two steps, changes are applied to both collections. A step reads memories and writes all of them before any
    change is applied, so it never overwrites a change with older data. Raises ChromaFailed, LeaseLost and the errors of
    `between`.
    """
    row = _begin(database, chroma, model, project_id)
    if row is None:
        return
    mean = row.building_mean
    if mean is None:
        mean = yield from _find_mean(database, matrices, row)
    if row.built_to == 0:
        chroma.create_collection(row.building)
    target, after = Collection(row.building, np.frombuffer(mean, "<f4")), row.built_to
    done, whole = _count_pieces(database, row)
    while True:
        with database.read() as session:
            part = matrices.read_part(session, project_id, after, STEP_PIECES)
        if part is None:
            break
        pieces, after = part
        with following.followed_again_if_lost(database, project_id, {}, pieces):
            following.put(chroma, target, pieces, between)
            if not _note(database, row, built_to=after):
                return
        done += len(pieces.blobs)
        yield Progress("building a collection", done, max(whole, done))
    _publish(database, row)


def _begin(database: Database, chroma: "Chroma", model: str, project_id: str) -> ProjectIndex | None:
    """Return the row of the build. From now on, changes of the project write tasks. None if the project is gone."""
    with database.write() as session:
        existing = sa.select(col(Project.id)).where(col(Project.id) == project_id, ~IS_DELETED)
        if session.scalar(existing.with_for_update()) is None:
            return None
        row = session.get(ProjectIndex, project_id)
        if row is None or row.embedding_model != model:
            before = row.collection if row else ""
            row = session.merge(ProjectIndex(project_id=project_id, collection=before, embedding_model=model, mean=b""))
        if not row.building:
            row.building, row.building_mean, row.built_to = chroma.new_name(), None, 0
            if row.ready_at is None:  # no collection is in use, and the build reads the memories of its tasks anyway
                of_project = (_tasks.c.project_id == project_id, _tasks.c.memory_number != PURGE)
                session.execute(sa.delete(_tasks).where(*of_project))
        return row


def _find_mean(database: Database, matrices: MatrixCache, row: ProjectIndex) -> Generator[Progress, None, bytes]:
    """Return the mean of all pieces. Store it in the build's row if it is not there yet."""
    total, count, after = np.zeros(0), 0, 0
    _, whole = _count_pieces(database, row)
    while True:
        with database.read() as session:
            part = matrices.read_part(session, row.project_id, after)
        if part is None:
            break
        pieces, after = part
        total = pieces.vectors.sum(axis=0, dtype=np.float64) + (total if total.size else 0.0)
        count += len(pieces.blobs)
        yield Progress("reading vectors", count, max(whole, count))
    mean = mean_of(total, count, matrices.mean).astype("<f4").tobytes()
    _note(database, row, building_mean=mean)
    return mean


def _count_pieces(database: Database, row: ProjectIndex) -> tuple[int, int]:
    """Return how many pieces are built, and how many there are."""
    of_project, pieces = _memories.c.project_id == row.project_id, sa.func.sum(_memories.c.piece_count)
    with database.read() as session:
        done = session.scalar(sa.select(pieces).where(of_project, _memories.c.number <= row.built_to)) or 0
        return done, session.scalar(sa.select(_projects.c.piece_count).where(_projects.c.id == row.project_id)) or 0


def _note(database: Database, row: ProjectIndex, **progress: object) -> bool:
    """Store the build's progress. Return False if it is no longer needed: the project is gone, or has become small."""
    is_same = sa.and_(_indexes.c.project_id == row.project_id, _indexes.c.building == row.building)
    with database.write() as session:
        noted = sa.update(_indexes).where(is_same).values(progress).returning(_indexes.c.project_id)
        return session.execute(noted).first() is not None


def _publish(database: Database, row: ProjectIndex) -> None:
    """Put the new collection to use. The worker deletes the old one."""
    columns = _indexes.c
    removals = sa.select(_projects.c.removals).where(_projects.c.id == columns.project_id).scalar_subquery()
    new = {
        "collection": columns.building, "mean": columns.building_mean, "removals": removals, "ready_at": now(),
        "erased_at": now(), "building": "", "building_mean": None, "built_to": 0,
    }  # fmt: skip
    _note(database, row, **new)


def recount(database: Database) -> None:
    """Count the memories and pieces of each project again, and delete the words of memories that no longer exist.

    Begin a new epoch of the counters, so that no process trusts a matrix that it read earlier.
    """
    with database.write() as session:
        word_index_of(session).remove_orphans(session)
        size = sa.select(TOTAL_SIZE).where(_memories.c.project_id == _projects.c.id).scalar_subquery()
        counts = {"memory_count": _count_of(_memories), "piece_count": _count_of(_pieces), "memory_bytes": size}
        session.execute(sa.update(_projects).where(~IS_DELETED).values(counts))
        begin_epoch(session)


def begin_epoch(session: Session) -> None:
    """Make all processes read their matrices again. Locks the projects by id, as other writers of several do."""
    in_order = sa.select(_projects.c.id).order_by(_projects.c.id).with_for_update(key_share=True)
    session.execute(sa.update(_projects).where(_projects.c.id.in_(in_order)).values(epoch=secrets.randbits(EPOCH_BITS)))


def _count_of(table: sa.Table) -> sa.ScalarSelect[int]:
    """Return the number of rows in `table` that belong to the outer statement's project."""
    query = sa.select(sa.func.count()).select_from(table).where(table.c.project_id == _projects.c.id)
    return query.scalar_subquery()


def forget_collections(database: Database) -> None:
    """Mark all collections for rebuilding."""
    with database.write() as session:
        session.execute(sa.update(_indexes).values(ready_at=None, building=""))
