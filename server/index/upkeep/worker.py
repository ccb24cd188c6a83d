"""The worker: a thread in one process that applies the outbox's tasks to Chroma and maintains the index."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.database import Database
from server.index.chroma.collections import Collections
from server.index.chroma.failures import ChromaFailed
from server.index.exact.matrix_cache import MatrixCache
from server.index.model.embeddings import EmbedderClosed, ModelFailed
from server.index.model.failures import ModelAway
from server.index.model.languages import reads_only_english
from server.index.outbox import PURGE
from server.index.types import Space
from server.index.upkeep import candidates, following, rebuild, removal, rewriting
from server.index.upkeep.candidates import Task
from server.index.upkeep.owner_lock import OwnerLock
from server.index.upkeep.progress import Progress, watched
from server.index.upkeep.reembedding import Embed, Reembedding
from server.index.upkeep.survey import Surveyor
from server.index.words import word_index
from server.models import metadata
from server.settings import Settings

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the worker looks for other processes' tasks."""

GATHER_SECONDS = 1.0
"""How long changes are gathered before they are written to Chroma, which holds the GIL during each write."""

COOLDOWN_SECONDS = 0.1
"""The minimum time between two checks for tasks, even if the worker is woken more often."""

TASK_BATCH = 256
"""Maximum number of tasks that are applied at a time."""

CHECK_EVERY_SECONDS = 5.0
"""How often the worker looks for work without a task."""

RETRY_SECONDS = 30.0
"""The pause after a failure of Chroma."""

STOP_SECONDS = 3.0
"""How long stopping waits for the current step. A step that hangs ends with the process."""

_projects = metadata.tables["projects"]
_indexes = metadata.tables["project_indexes"]
_tasks = metadata.tables["index_tasks"]


class Worker:
    """Call `start` in every process. One worker at a time owns the index; the others wait to become the owner."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        collections: Collections,
        matrices: MatrixCache,
        embed: Embed,
        space: Space,
    ) -> None:
        self._database = database
        self._collections = collections
        self._matrices = matrices
        self._embed = embed
        self._space = space
        self._exact_scan_limit = settings.exact_scan_limit
        self._surveyor = Surveyor(database, only_english=reads_only_english(settings.embedding_model))
        self._lock = OwnerLock(settings.data_dir / "index.lock", database)
        self.owns_index = self._lock.is_held
        self._thread = threading.Thread(target=self._run, name="index-worker", daemon=True)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._job: Iterator[Progress] | None = None
        self._check_at = 0.0
        self._retry_at = 0.0
        self._embed_at = 0.0
        self._sweep_at: float | None = 0.0
        self._failing: set[int] = set()
        self.progress: Progress | None = None
        """The progress of the current job; None if there is none."""

        self.is_owner = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the current step, close Chroma and give up ownership of the index."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is None:
            self._give_up()
        else:
            self._thread.join(STOP_SECONDS)

    def wake(self) -> None:
        """Look for tasks now."""
        self._wake.set()

    def check_soon(self) -> None:
        """Look for work that has no task, without waiting for `CHECK_EVERY_SECONDS`."""
        self._check_at = 0.0
        self._wake.set()

    def count_missing(self) -> int:
        """Return how many projects have outgrown exact scanning and have no collection yet."""
        query = candidates.projects_without_collection(self._space.name, self._exact_scan_limit)
        with self._database.read() as session:
            return session.scalar(query.with_only_columns(sa.func.count())) or 0

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        pause = 0.0
        try:
            while not self._stopping.is_set():
                if self._wake.wait(pause):
                    self._stopping.wait(COOLDOWN_SECONDS)
                    self._wake.clear()
                started = time.monotonic()
                busy = self._try_step()
                # Pause as long as the step took, because Chroma and the model leave other threads little time.
                pause = min(time.monotonic() - started, POLL_SECONDS) if busy else POLL_SECONDS
        finally:
            self._give_up()

    def _try_step(self) -> bool:
        """Do a step if this process owns the index. Return whether there may be more."""
        try:
            self._collections.mark_damaged()
            return self._lock.acquire() and self._step()
        except EmbedderClosed:
            self._stopping.set()
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, ModelFailed) as error:
            log.warning("index waits for the database or the model", extra={"kind": type(error).__name__})
        except Exception:
            log.exception("index failed, trying again")  # the thread must not die: it may own the index
        self._job = None
        return False

    def _give_up(self) -> None:
        """Close Chroma, then let another process own the index. To that process, an open Chroma would look damaged."""
        self._job = None
        try:
            self._collections.close()
        except ChromaFailed as error:
            log.warning("chroma was not closed", extra={"kind": str(error)})
        finally:
            self._lock.release()

    def _step(self) -> bool:
        """Do a small piece of work. Return whether there may be more."""
        if not self.is_owner:
            self.is_owner = True
            word_index.prepare(self._database)
            log.info("owns the index")
        removed = removal.remove_some(self._database)
        self._purge()
        self._surveyor.step(self.progress)
        if time.monotonic() < self._retry_at:
            return removed
        try:
            self._sweep()
            applied = self._apply_tasks()
            return self._continue_job() or applied or removed
        except ChromaFailed as error:
            self._collections.report_failure(error)
            self._retry_at = self._sweep_at = time.monotonic() + RETRY_SECONDS  # the sweep notices when Chroma is back
            self._job = self.progress = None
            log.warning("chroma failed", extra={"kind": str(error)})
            return removed
        except ModelAway:
            self._embed_at = time.monotonic() + CHECK_EVERY_SECONDS
            self._job = self.progress = None
            return removed

    def _purge(self) -> None:
        """Erase deleted words from disk, then clear the purge tasks."""
        numbers = self._read_numbers(sa.select(_tasks.c.number).where(_tasks.c.memory_number == PURGE))
        if numbers and word_index.purge(self._database):
            self._delete_tasks(numbers)
            self._sweep_at = self._sweep_at or time.monotonic()  # a project with a collection may be deleted

    def _apply_tasks(self) -> bool:
        """Bring Chroma up to date with the memories. Tasks may be repeated or reordered without harm."""
        tasks = self._due_tasks()
        by_project: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            by_project[task.project_id].append(task)
        for project_id, group in by_project.items():
            self._update_collection(project_id, group)
            self._delete_tasks([task.number for task in group])
        return bool(tasks)

    def _due_tasks(self) -> Sequence[Task]:
        """Return the oldest tasks, except of projects whose collection is yet to be built.

        Return none while there are only a few new ones, before the model is there, or while a job runs, which would
        compete for Chroma.
        """
        if self._job is not None or not self._space.name:
            return []
        with self._database.read() as session:
            rows = session.execute(candidates.applicable_tasks().limit(TASK_BATCH)).all()
        is_full = len(rows) == TASK_BATCH
        if not rows or (not is_full and candidates.is_newer(rows[0].created_at, GATHER_SECONDS)):
            return []
        return [Task(row.number, row.project_id, row.memory_number, row.piece_count) for row in rows]

    def _update_collection(self, project_id: str, tasks: Sequence[Task]) -> None:
        numbers = sorted({task.memory_number for task in tasks})
        with self._database.read() as session:
            collection = self._collections.find(session, project_id)
            if collection is None:
                return
            matrix = self._matrices.scan_memories(session, numbers, collection.center).matrix
        following.apply(self._open_chroma(), collection, matrix, tasks)

    def _continue_job(self) -> bool:
        """Do a step of the current job, or of the next one. Return False if there is none."""
        if self._job is None:
            self._job = self._next_job()
        if self._job is None:
            self.progress = None
            return False
        self.progress = next(self._job, None)
        if self.progress is None:
            self._job = None
            self._check_at = 0.0
            self._sweep_at = time.monotonic() + CHECK_EVERY_SECONDS  # running searches may still use an old collection
            self._collections.failure = None
        return True

    def _next_job(self) -> Iterator[Progress] | None:
        if time.monotonic() < self._check_at:
            return None
        self._check_at = time.monotonic() + CHECK_EVERY_SECONDS
        if rewriting.is_outdated(self._database):
            return watched(rewriting.rewrite_outdated(self._database))
        if not self._space.name:
            return None
        reembedding = Reembedding(self._database, self._embed, self._space.name, self._failing)
        if time.monotonic() >= self._embed_at and reembedding.is_needed():
            return watched(reembedding.run())
        with self._database.read() as session:
            project_id = candidates.next_project(session, self._space.name, self._exact_scan_limit)
        if project_id is None:
            return None
        chroma = self._open_chroma()
        return watched(rebuild.build_collection(self._database, chroma, self._matrices, self._space.name, project_id))

    def _sweep(self) -> None:
        """Delete unused collections, if there may be some."""
        if self._sweep_at is None or self._sweep_at > time.monotonic() or self._job is not None:
            return
        small = sa.select(_projects.c.id).where(_projects.c.piece_count * 2 <= self._exact_scan_limit)
        with self._database.write() as session:
            session.execute(sa.delete(_indexes).where(_indexes.c.project_id.in_(small)))
            needed = set(session.scalars(sa.select(_indexes.c.collection)))
        if needed or self._collections.uses_server or self._collections.open(as_owner=False):
            chroma = self._open_chroma()
            for name in chroma.list_names() - needed:
                chroma.delete_collection(name)
        self._sweep_at = None
        if self._retry_at:
            self._retry_at = 0.0
            self._collections.failure = None

    def _open_chroma(self) -> "Chroma":
        chroma = self._collections.open(as_owner=True)
        if chroma is None:
            raise ChromaFailed("NotOpen")
        if chroma.fresh:
            chroma.fresh = False
            rebuild.forget_collections(self._database)
        return chroma

    def _read_numbers(self, query: sa.Select[int]) -> Sequence[int]:
        with self._database.read() as session:
            return session.scalars(query).all()

    def _delete_tasks(self, numbers: Sequence[int]) -> None:
        with self._database.write() as session:
            session.execute(sa.delete(_tasks).where(_tasks.c.number.in_(numbers)))
