"""What is made anew from SQL: collections, vectors, words; in small steps, between which the owner does others."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, col

from server.database import Database
from server.index import outbox
from server.index.exact.matrix import MEAN_PRIOR_PIECES, Centre, Matrix
from server.index.exact.matrix_cache import MatrixCache
from server.index.outbox import Embedded
from server.index.pieces import lead_from
from server.index.words import word_index
from server.models import Memory, Project, ProjectIndex, metadata
from server.models.base import now

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

CHROMA_BATCH = 32
"""Rows given to Chroma at once: it freezes the process meanwhile."""

EMBED_BATCH = 16
"""Memories embedded anew at once."""

WORDS_BATCH = 500
"""Memories whose words are written in one transaction."""

LOG_EVERY_SECONDS = 10.0
"""Seconds between two lines of the log about one work."""

_memories, _pieces = metadata.tables["memories"], metadata.tables["pieces"]
_tasks = metadata.tables["index_tasks"]
_indexes, _projects = metadata.tables["project_indexes"], metadata.tables["projects"]
Embed = Callable[[Sequence[tuple[str, str]]], list[Embedded]]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `whole` steps of some work."""

    work: str
    done: int
    whole: int

    def __str__(self) -> str:
        return f"{self.work} {100 * self.done // max(self.whole, 1)}%"


@dataclass(frozen=True, slots=True)
class _Part:
    """The memories with numbers above `after` up to `upto`, as they are when task `seen` was the project's last."""

    matrix: Matrix
    after: int
    upto: int
    seen: int


def log_progress(job: Iterator[Progress]) -> Iterator[Progress]:
    """The same steps; the log has the first, the last, and one now and then between them."""
    due, untold = 0.0, None
    for step in job:
        untold = step
        if time.monotonic() >= due:
            due, untold = time.monotonic() + LOG_EVERY_SECONDS, None
            _tell(step)
        yield step
    if untold:
        _tell(untold)


def _tell(step: Progress) -> None:
    log.info("background work", extra={"work": step.work, "done": step.done, "whole": step.whole})


def build(database: Database, chroma: "Chroma", scans: MatrixCache, model: str, project_id: str) -> Iterator[Progress]:
    """Give a project a new collection. An old one serves until then. Raises ChromaFailed."""
    project = _announced(database, project_id, model)
    if project is None:
        return
    name = chroma.create()
    centre = _centre(database, scans, project_id)
    read: list[sa.ColumnElement[bool]] = []
    done = 0
    for part in _parts(database, scans, project_id):
        read.append(_tasks_of(project_id, part))
        matrix = part.matrix
        vectors, owners = centre.left(matrix.vectors), np.repeat(matrix.numbers, matrix.sizes)
        positions = np.arange(len(owners)) - np.repeat(matrix.first, matrix.sizes)
        pieces = list(zip(owners.tolist(), positions.tolist(), strict=True))
        for start in range(0, len(pieces), CHROMA_BATCH):
            chroma.put(name, pieces[start : start + CHROMA_BATCH], vectors[start : start + CHROMA_BATCH])
            done += len(pieces[start : start + CHROMA_BATCH])
            yield Progress("building a collection", done, max(project.piece_count, done))
    mean = centre.mean.astype("<f4").tobytes()
    built = ProjectIndex(project_id=project_id, collection=name, embedding_model=model, mean=mean)
    _finished(database, project, built, read)


def _announced(database: Database, project_id: str, model: str) -> Project | None:
    """From now on the project's changes leave tasks: what is read from now on misses nothing."""
    with database.write() as session:
        project = session.scalars(sa.select(Project).where(col(Project.id) == project_id).with_for_update()).first()
        if project is not None and session.get(ProjectIndex, project_id) is None:
            session.add(ProjectIndex(project_id=project_id, collection="", embedding_model=model, mean=b""))
        return project


def _tasks_of(project_id: str, part: _Part) -> sa.ColumnElement[bool]:
    """The collection knows what these tasks tell: they were there when it read their memories."""
    own = _tasks.c
    inside = sa.and_(own.memory_number > part.after, own.memory_number <= part.upto)
    return sa.and_(own.project_id == project_id, own.number <= part.seen, inside)


def _finished(
    database: Database, project: Project, built: ProjectIndex, known: Sequence[sa.ColumnElement[bool]]
) -> None:
    """What is not needed any more, the old collection or this one, is for the owner to sweep.

    The tasks that it knows go all at once: SQLite gives the number of one that is gone to the next change.
    """
    with database.write() as session:
        for tasks in known:
            session.execute(sa.delete(_tasks).where(tasks))
        row = session.get(ProjectIndex, built.project_id)
        if row is not None:
            row.collection, row.embedding_model, row.mean = built.collection, built.embedding_model, built.mean
            row.removals, row.ready_at = project.removals, now()


def _centre(database: Database, scans: MatrixCache, project_id: str) -> Centre:
    total, count = np.zeros(0), 0
    for matrix in (part.matrix for part in _parts(database, scans, project_id)):
        total = matrix.vectors.sum(axis=0, dtype=np.float64) + (total if total.size else 0.0)
        count += len(matrix.vectors)
    return Centre((total / (count + MEAN_PRIOR_PIECES)).astype(np.float32))


def _parts(database: Database, scans: MatrixCache, project_id: str) -> Iterator[_Part]:
    """Each part in a transaction of its own: an old snapshot would keep SQLite's log from being emptied."""
    followed = _tasks.c.memory_number != outbox.PURGE  # such a task may be gone, and its number taken, any moment
    newest = sa.select(sa.func.max(_tasks.c.number)).where(_tasks.c.project_id == project_id, followed)
    last = 0
    while True:
        with database.read() as session:
            part = scans.part_after(session, project_id, last)
            seen = session.scalar(newest) or 0
        if part is None:
            return
        matrix, upto = part
        yield _Part(matrix, last, upto, seen)
        last = upto


def of_other_model(model: str) -> sa.ColumnElement[bool]:
    """Memories whose vectors are not of this model; unlike !=, it can use the index."""
    return sa.or_(_memories.c.embedding_model < model, _memories.c.embedding_model > model)


def reembed(database: Database, embed: Embed, model: str) -> Iterator[Progress]:
    """Give the memories whose vectors are of another model vectors of this one, the newest first."""
    other = of_other_model(model)
    with database.read() as session:
        whole = session.scalar(sa.select(sa.func.count()).select_from(_memories).where(other)) or 0
    done = 0
    while numbers := _some(database, other):
        with database.read() as session:
            texts = {memory.number: memory for memory in session.scalars(_of(numbers))}
        embedded = embed([(memory.content, lead_from(memory.content, memory.details)) for memory in texts.values()])
        with database.write() as session:
            _replace(session, texts, dict(zip(texts, embedded, strict=True)))
        done += len(numbers)
        yield Progress("embedding with the new model", done, max(whole, done))


def _some(database: Database, chosen: sa.ColumnElement[bool]) -> Sequence[int]:
    query = sa.select(_memories.c.number).where(chosen).order_by(_memories.c.number.desc()).limit(EMBED_BATCH)
    with database.read() as session:
        return session.scalars(query).all()


def _of(numbers: Sequence[int]) -> sa.Select[Memory]:
    return sa.select(Memory).where(col(Memory.number).in_(numbers))


def _replace(session: Session, texts: dict[int, Memory], embedded: dict[int, Embedded]) -> None:
    """Leaves out what was changed or deleted since it was read; what is left waits, so that no change comes between."""
    by_project: dict[str, list[Memory]] = {}
    for memory in session.scalars(_of(list(texts)).order_by(col(Memory.number)).with_for_update()):
        if memory.revision == texts[memory.number].revision:
            by_project.setdefault(memory.project_id, []).append(memory)
    for project_id, memories in by_project.items():
        outbox.memories_changed(session, project_id, memories, [embedded[memory.number] for memory in memories])


def rewrite_words(database: Database) -> Iterator[Progress]:
    """Write all memories' words again, and count memories and pieces anew."""
    with database.write() as session:
        word_index.forget_orphans(session)
        session.execute(sa.update(_projects).values(memory_count=_count_of(_memories), piece_count=_count_of(_pieces)))
        whole = session.scalar(sa.select(sa.func.count()).select_from(_memories)) or 0
    last, done = 0, 0
    query = sa.select(_memories.c.number, _memories.c.project_id).order_by(_memories.c.number).limit(WORDS_BATCH)
    while True:
        with database.write() as session:
            rows = session.execute(query.where(_memories.c.number > last)).all()
            for project_id in sorted({row.project_id for row in rows}):
                word_index.rewrite(session, project_id, [row.number for row in rows if row.project_id == project_id])
        if not rows:
            return
        last, done = rows[-1].number, done + len(rows)
        yield Progress("writing words", done, max(whole, done))


def _count_of(table: sa.Table) -> sa.ScalarSelect[int]:
    counted = sa.select(sa.func.count()).select_from(table).where(table.c.project_id == _projects.c.id)
    return counted.scalar_subquery()


def forget_collections(database: Database) -> None:
    """All collections are to be built anew."""
    with database.write() as session:
        session.execute(sa.update(_indexes).values(ready_at=None))
