"""Rebuilds collections and vectors from SQL, in small steps so that the worker can do other work in between."""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
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
from server.index.pieces import lead_from
from server.index.types import Embedded
from server.index.upkeep.candidates import memories_of_other_models
from server.index.words import word_index
from server.models import Memory, Project, ProjectIndex, metadata
from server.models.base import now
from server.models.stored_size import TOTAL_SIZE

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

CHROMA_BATCH = 32
"""Rows per write to Chroma, which holds the GIL while it writes."""

EMBED_BATCH = 16
"""The memories that are embedded at a time."""

EPOCH_BITS = 62
"""The size of an epoch: a signed 64-bit column holds it, and no two are the same."""

LOG_EVERY_SECONDS = 10.0
"""The least time between two log lines about one job."""

_memories = metadata.tables["memories"]
_pieces = metadata.tables["pieces"]
_tasks = metadata.tables["index_tasks"]
_indexes = metadata.tables["project_indexes"]
_projects = metadata.tables["projects"]

Embed = Callable[[Sequence[tuple[str, str]]], list[Embedded]]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `whole` steps of a job."""

    work: str
    done: int
    whole: int

    def __str__(self) -> str:
        return f"{self.work} {100 * self.done // max(self.whole, 1)}%"


@dataclass(frozen=True, slots=True)
class _Part:
    """The memories with `after` < number <= `last`, read when `seen` was the number of the project's newest task."""

    matrix: Matrix
    after: int
    last: int
    seen: int


def log_progress(job: Iterator[Progress]) -> Iterator[Progress]:
    """Yield the job's steps and log the first, the last, and one every `LOG_EVERY_SECONDS` in between."""
    due = 0.0
    unlogged: Progress | None = None
    for step in job:
        if time.monotonic() >= due:
            due = time.monotonic() + LOG_EVERY_SECONDS
            unlogged = None
            _log(step)
        else:
            unlogged = step
        yield step
    if unlogged:
        _log(unlogged)


def _log(step: Progress) -> None:
    log.info("background work", extra={"work": step.work, "done": step.done, "whole": step.whole})


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


def reembed(database: Database, embed: Embed, model: str) -> Iterator[Progress]:
    """Embed the memories whose vectors are of another model, newest first."""
    outdated = memories_of_other_models(model)
    with database.read() as session:
        total = session.scalar(sa.select(sa.func.count()).select_from(_memories).where(outdated)) or 0
    done = 0
    while numbers := _next_numbers(database, outdated):
        with database.read() as session:
            memories = {memory.number: memory for memory in session.scalars(_with_numbers(numbers))}
        embedded = embed([(memory.content, lead_from(memory.content, memory.details)) for memory in memories.values()])
        with database.write() as session:
            _replace_vectors(session, memories, dict(zip(memories, embedded, strict=True)))
        done += len(numbers)
        yield Progress("embedding with the new model", done, max(total, done))


def _next_numbers(database: Database, condition: sa.ColumnElement[bool]) -> Sequence[int]:
    query = sa.select(_memories.c.number).where(condition).order_by(_memories.c.number.desc()).limit(EMBED_BATCH)
    with database.read() as session:
        return session.scalars(query).all()


def _with_numbers(numbers: Sequence[int]) -> sa.Select[Memory]:
    return sa.select(Memory).where(col(Memory.number).in_(numbers))


def _replace_vectors(session: Session, read: dict[int, Memory], embedded: dict[int, Embedded]) -> None:
    """Write the new vectors, skipping memories changed since they were read. Locks the rows first."""
    by_project: dict[str, list[Memory]] = {}
    for memory in session.scalars(_with_numbers(list(read)).order_by(col(Memory.number)).with_for_update()):
        if memory.revision == read[memory.number].revision:
            by_project.setdefault(memory.project_id, []).append(memory)
    for project_id, memories in by_project.items():
        outbox.memories_changed(session, project_id, memories, [embedded[memory.number] for memory in memories])


def recount(database: Database) -> None:
    """Count the memories and pieces of each project again, and delete the words of memories that no longer exist.

    Begin a new epoch of the counters, so that no process believes a matrix that it read before.
    """
    with database.write() as session:
        word_index.forget_orphans(session)
        counts = {"memory_count": _count_of(_memories), "piece_count": _count_of(_pieces), "memory_bytes": _size()}
        session.execute(sa.update(_projects).values(counts | {"epoch": secrets.randbits(EPOCH_BITS)}))


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
