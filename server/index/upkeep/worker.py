"""The owner: one thread of one process, which follows the tasks that changes leave and keeps the index in order."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.database import Database
from server.index.chroma.collections import Collections
from server.index.chroma.failures import ChromaFailed
from server.index.exact.matrix_cache import MatrixCache
from server.index.model.embeddings import EmbedderClosed, ModelFailed
from server.index.outbox import PURGE
from server.index.upkeep import rebuild
from server.index.upkeep.owner_lock import OwnerLock
from server.index.upkeep.rebuild import Embed, Progress
from server.index.words import purge
from server.models import metadata
from server.models.base import now
from server.settings import Settings

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Seconds after which tasks of other processes are seen."""

GATHER_SECONDS = 1.0
"""Seconds that changes are gathered for before Chroma is written: it freezes the process for each write."""

COOLDOWN_SECONDS = 0.1
"""Seconds between two looks at the tasks however often it is woken."""

TASK_BATCH = 256
CHECK_EVERY_SECONDS = 5.0
"""Seconds between looks for work that no task announces."""

RETRY_SECONDS = 30.0
"""Seconds after which a Chroma that failed is tried again."""

COMPACT_AFTER = timedelta(hours=20)
"""Deleted vectors leave the collection within a day; sooner when they are one in `COMPACTED_SHARE`."""
COMPACT_ONE_IN = 5

_projects, _indexes = metadata.tables["projects"], metadata.tables["project_indexes"]
_tasks, _memories = metadata.tables["index_tasks"], metadata.tables["memories"]


@dataclass(frozen=True, slots=True)
class _Task:
    number: int
    project_id: str
    memory_number: int
    piece_count: int


class Worker:
    """`start` it in every process: at any time one of them is the owner, the others wait to become it."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        collections: Collections,
        scans: MatrixCache,
        embed: Embed,
        model: str,
    ) -> None:
        self._database, self._collections, self._scans = database, collections, scans
        self._embed, self._model, self._limit = embed, model, settings.exact_scan_limit
        self._ownership = OwnerLock(settings.data_dir / "index.lock", database)
        self._thread = threading.Thread(target=self._run, name="index-owner", daemon=True)
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._job: Iterator[Progress] | None = None
        self._look_at = self._retry_at = 0.0
        self._sweep_at: float | None = 0.0
        self.progress: Progress | None = None
        """Of the work in the background; None when there is none."""
        self.owns = False

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def look(self) -> None:
        """There may be work that no task announces."""
        self._look_at = 0.0
        self._wake.set()

    def missing(self) -> int:
        """Projects that have outgrown exact scanning and have no collection yet."""
        with self._database.read() as session:
            return session.scalar(self._wanting().with_only_columns(sa.func.count())) or 0

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            if self._wake.wait(pause):
                self._stopping.wait(COOLDOWN_SECONDS)
                self._wake.clear()
            started = time.monotonic()
            try:
                self._forget_damaged()
                busy = self._ownership.is_had() and self._step()
            except EmbedderClosed:
                break
            except (sa.exc.DBAPIError, sa.exc.TimeoutError, ModelFailed) as error:
                log.warning("index waits for the database or the model", extra={"kind": type(error).__name__})
                self._job, busy = None, False
            # As long again for others as a step took: Chroma and the model leave them little meanwhile.
            pause = min(time.monotonic() - started, POLL_SECONDS) if busy else POLL_SECONDS
        self._job = None
        self._ownership.give_up()

    def _step(self) -> bool:
        """One small piece of what is to be done; whether there may be more."""
        if not self.owns:
            self.owns = True
            purge.prepare(self._database)
            log.info("owns the index")
        self._purge()
        if time.monotonic() < self._retry_at:
            return False
        try:
            self._sweep()
            followed = self._follow()
            return self._advance() or followed
        except ChromaFailed as error:
            self._collections.failed(error)
            self._retry_at = self._sweep_at = time.monotonic() + RETRY_SECONDS  # the sweep asks whether it is back
            self._job = self.progress = None
            log.warning("chroma failed", extra={"kind": str(error)})
            return False

    def _purge(self) -> None:
        """Deleted words leave the disk; the tasks stay until that is so."""
        numbers = self._numbers(sa.select(_tasks.c.number).where(_tasks.c.memory_number == PURGE))
        if numbers and purge.purge(self._database):
            self._clear(numbers)
            self._sweep_at = self._sweep_at or time.monotonic()  # a project may have gone with its collection

    def _follow(self) -> bool:
        """Bring Chroma up to the memories as they are now; repeating or reordering that does no harm."""
        tasks = self._due()
        by_project: dict[str, list[_Task]] = defaultdict(list)
        for task in tasks:
            by_project[task.project_id].append(task)
        for project_id, own in by_project.items():
            self._bring_up(project_id, own)
            self._clear([task.number for task in own])
        return bool(tasks)

    def _due(self) -> Sequence[_Task]:
        """Tasks of projects with a collection or without need of one, unless they are few and new."""
        own = _tasks.c
        query = (
            sa.select(own.number, own.project_id, own.memory_number, own.piece_count, own.created_at)
            .select_from(_tasks.outerjoin(_indexes, _indexes.c.project_id == own.project_id))
            .where(
                own.memory_number != PURGE, sa.or_(_indexes.c.project_id.is_(None), _indexes.c.ready_at.is_not(None))
            )
            .order_by(own.number)
            .limit(TASK_BATCH)
        )
        if self._job is not None:
            return []  # a collection that is being built is brought up at its end
        with self._database.read() as session:
            rows = session.execute(query).all()
        if len(rows) < TASK_BATCH and (not rows or now() - rows[0].created_at < timedelta(seconds=GATHER_SECONDS)):
            return []
        return [_Task(row.number, row.project_id, row.memory_number, row.piece_count) for row in rows]

    def _bring_up(self, project_id: str, tasks: Sequence[_Task]) -> None:
        numbers = sorted({task.memory_number for task in tasks})
        with self._database.read() as session:
            collection = self._collections.of_project(session, project_id)
            if collection is None:
                return
            matrix = self._scans.of_memories(session, numbers, collection.centre).matrix
        chroma = self._chroma()
        sizes = dict(zip(matrix.numbers.tolist(), matrix.sizes.tolist(), strict=True))
        gone = [
            (task.memory_number, position)
            for task in tasks
            for position in range(sizes.get(task.memory_number, 0), task.piece_count)
        ]
        present = [(number, position) for number in matrix.numbers.tolist() for position in range(sizes[number])]
        vectors = collection.centre.left(matrix.vectors)
        for start in range(0, len(gone), TASK_BATCH):
            chroma.drop(collection.name, gone[start : start + TASK_BATCH])
        for start in range(0, len(present), rebuild.CHROMA_BATCH):
            end = start + rebuild.CHROMA_BATCH
            chroma.put(collection.name, present[start:end], vectors[start:end])
            time.sleep(0)  # let a waiting thread have the interpreter

    def _advance(self) -> bool:
        """A step of the job in hand, or the choice of one."""
        if self._job is None:
            self._job = self._choose()
        if self._job is None:
            self.progress = None
            return False
        self.progress = next(self._job, None)
        if self.progress is None:
            self._job, self._look_at = None, 0.0
            self._sweep_at = (
                time.monotonic() + CHECK_EVERY_SECONDS
            )  # searches that began before may still ask an old collection
            self._collections.failure = None
        return True

    def _choose(self) -> Iterator[Progress] | None:
        if time.monotonic() < self._look_at:
            return None
        self._look_at = time.monotonic() + CHECK_EVERY_SECONDS
        if self._numbers(sa.select(_memories.c.number).where(rebuild.of_other_model(self._model)).limit(1)):
            return rebuild.log_progress(rebuild.reembed(self._database, self._embed, self._model))
        project_id = self._outgrown()
        if project_id is None:
            return None
        return rebuild.log_progress(rebuild.build(self._database, self._chroma(), self._scans, self._model, project_id))

    def _wanting(self) -> sa.Select[str]:
        """Projects that need a collection: they have none, or none that is whole and of this model."""
        own, index = _projects.c, _indexes.c
        lacks = sa.or_(index.project_id.is_(None), index.ready_at.is_(None), index.embedding_model != self._model)
        joined = _projects.outerjoin(_indexes, index.project_id == own.id)
        return sa.select(own.id).select_from(joined).where(own.piece_count > self._limit, lacks)

    def _bloated(self) -> sa.Select[str]:
        """Projects whose collection still holds deleted vectors, a day old or many."""
        own, index = _projects.c, _indexes.c
        removed = own.removals - index.removals
        old = sa.and_(removed > 0, index.ready_at < now() - COMPACT_AFTER)
        joined = _projects.join(_indexes, index.project_id == own.id)
        return sa.select(own.id).select_from(joined).where(sa.or_(old, removed * COMPACT_ONE_IN > own.memory_count))

    def _outgrown(self) -> str | None:
        """A project that needs a collection, the smallest first, or else a new one."""
        with self._database.read() as session:
            smallest = self._wanting().order_by(_projects.c.piece_count).limit(1)
            return session.scalar(smallest) or session.scalar(self._bloated().limit(1))

    def _sweep(self) -> None:
        """Delete the collections that no project needs any more, when there may be some."""
        if self._sweep_at is None or self._sweep_at > time.monotonic() or self._job is not None:
            return
        small = sa.select(_projects.c.id).where(_projects.c.piece_count * 2 <= self._limit)
        with self._database.write() as session:
            session.execute(sa.delete(_indexes).where(_indexes.c.project_id.in_(small)))
            known = set(session.scalars(sa.select(_indexes.c.collection)))
        if known or self._collections.are_served or self._collections.open(as_owner=False):
            chroma = self._chroma()
            for name in chroma.names() - known:
                chroma.delete(name)
        self._sweep_at = None
        if self._retry_at:
            self._retry_at, self._collections.failure = 0.0, None

    def _chroma(self) -> "Chroma":
        chroma = self._collections.open(as_owner=True)
        if chroma is None:
            raise ChromaFailed("NotOpen")
        if chroma.fresh:
            chroma.fresh = False
            rebuild.forget_collections(self._database)
        return chroma

    def _forget_damaged(self) -> None:
        """Every process tells of the damage that its searches met; the owner builds anew."""
        damaged = sorted(self._collections.suspects)
        if damaged:
            with self._database.write() as session:
                session.execute(sa.update(_indexes).where(_indexes.c.project_id.in_(damaged)).values(ready_at=None))
            self._collections.suspects.difference_update(damaged)

    def _numbers(self, query: sa.Select[int]) -> Sequence[int]:
        with self._database.read() as session:
            return session.scalars(query).all()

    def _clear(self, numbers: Sequence[int]) -> None:
        with self._database.write() as session:
            session.execute(sa.delete(_tasks).where(_tasks.c.number.in_(numbers)))
