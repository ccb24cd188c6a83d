"""The worker: a thread in one process that applies the outbox's tasks to Chroma and maintains the index."""

import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.index.chroma.collections import Collections
from server.index.chroma.failures import ChromaFailed
from server.index.exact.matrix_cache import MatrixCache, exact_limit
from server.index.model.failures import EmbedderClosed, ModelAway, ModelFailed
from server.index.model.languages import reads_only_english
from server.index.types import Space
from server.index.upkeep import due, erasing, following, rebuild, removal, rewriting
from server.index.upkeep.erasing import WordErasure
from server.index.upkeep.leases import LeaseLost
from server.index.upkeep.owner_lock import OwnerLock
from server.index.upkeep.progress import Progress, watched
from server.index.upkeep.reembedding import Embed, Reembedding
from server.index.upkeep.survey import Surveyor
from server.index.words.backend import word_index_of
from server.models import metadata
from server.settings import Settings
from server.storage.database import Database
from server.storage.database_failures import why, why_unavailable

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the worker looks for other processes' tasks."""

COOLDOWN_SECONDS = 0.1
"""The minimum time between two checks for tasks, even if the worker is woken more often."""

CHECK_EVERY_SECONDS = 5.0
"""How often the worker looks for work without a task."""

RETRY_SECONDS = 30.0
"""The pause after a failure of Chroma."""

STOP_SECONDS = 3.0
"""How long stopping waits for the current step. A step that hangs ends with the process."""

_tasks = metadata.tables["index_tasks"]
_projects = metadata.tables["projects"]
_memories = metadata.tables["memories"]


class Stopped(Exception):
    """The worker must stop and leave its work unfinished."""


class Worker:
    """Call `start` in every process. A worker does the work of the projects that its process owns (see `OwnerLock`)."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        collections: Collections,
        matrices: MatrixCache,
        embed: Embed,
        space: Space,
    ) -> None:
        self._lock = OwnerLock(settings, database)
        self._database = self._lock.database
        self._collections = collections
        self._matrices = matrices
        self._embed = embed
        self._space = space
        self._exact_limit = partial(exact_limit, settings.exact_scan_limit, space)
        self._word_erasure = WordErasure(self._database)
        self._surveyor = Surveyor(self._database, only_english=reads_only_english(settings.embedding_model))
        self._thread = threading.Thread(target=self._run, name="index-worker", daemon=True)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._job: Iterator[Progress] | None = None
        self._rested_at = 0.0
        self._check_at = 0.0
        self._retry_at = 0.0
        self._embed_at = 0.0
        self._sweep_at: float | None = 0.0
        self._failing: set[int] = set()
        self._failure = ""
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
        """Look at once for work that has no task, instead of after `CHECK_EVERY_SECONDS`."""
        self._check_at = 0.0
        self._wake.set()

    def count_missing(self) -> int:
        """Return how many projects have outgrown exact scanning and have no collection yet."""
        query = due.projects_without_collection(self._space.name, self._exact_limit())
        with self._database.read() as session:
            return session.scalar(query.with_only_columns(sa.func.count())) or 0

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def shards(self) -> int:
        """Return how many parts of the projects this process owns."""
        return len(self._lock.shards)

    def keep(self) -> None:
        """Pause within a long piece of work. Raises Stopped or LeaseLost if the work must end."""
        if self._stopping.wait(self._rest()):
            raise Stopped
        self._lock.keep()
        self._rested_at = time.monotonic()

    def _rest(self) -> float:
        """Return how long to pause: as long as the work since the last pause, during which Chroma and the model left
        other threads little time.
        """
        return min(time.monotonic() - self._rested_at, POLL_SECONDS)

    def _run(self) -> None:
        pause = 0.0
        try:
            while not self._stopping.is_set():
                if self._wake.wait(pause):
                    self._stopping.wait(COOLDOWN_SECONDS)
                    self._wake.clear()
                self._rested_at = time.monotonic()
                pause = self._rest() if self._try_step() else POLL_SECONDS
        finally:
            self._give_up()

    def _try_step(self) -> bool:
        """Do a step if this process owns a part of the index. Return whether there may be more."""
        try:
            self._collections.mark_damaged()
            is_more = self._lock.acquire() and self._step()
            self._failure = ""
            return is_more
        except (EmbedderClosed, Stopped):
            self._stopping.set()
        except LeaseLost:
            pass  # another process now owns what this one worked on
        except ModelFailed as error:
            self._report(why_unavailable(error))
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
            self._report(why(error))
        except Exception:
            log.exception("index failed, trying again")  # the thread must not die: it may own the index
        self._drop_job()
        self.is_owner = self.is_owner and self._lock.is_held()
        return False

    def _report(self, reason: str) -> None:
        """Log why the work waits, unless the last attempt failed for the same reason."""
        if reason != self._failure:
            log.warning("index waits for the database, the model or the disk", extra={"reason": reason})
        self._failure = reason

    def _drop_job(self) -> None:
        self._job = self.progress = None

    def _give_up(self) -> None:
        """Close Chroma, then let another process own the index. To that process, a Chroma that was not closed looks
        damaged.
        """
        self._drop_job()
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
            word_index_of(self._database).prepare(self._database)
            log.info("owns the index", extra={"parts": self.shards})
        removed = self._lock.is_first and self._step_for_all()
        if time.monotonic() < self._retry_at:
            return removed
        try:
            applied = False
            if self._space.name:  # until the model is loaded, nobody knows how long its vectors are
                self._sweep()
                applied = self._apply_tasks()
            return self._continue_job() or applied or removed
        except ChromaFailed as error:
            self._collections.report_failure(error)
            self._retry_at = self._sweep_at = time.monotonic() + RETRY_SECONDS  # the sweep notices when Chroma is back
            self._drop_job()
            log.warning("chroma failed", extra={"kind": str(error)})
            return removed
        except ModelAway:
            self._embed_at = time.monotonic() + CHECK_EVERY_SECONDS
            self._drop_job()
            return removed

    def _step_for_all(self) -> bool:
        """Do a step of the work that only one process may do. Return whether there may be more."""
        is_more = removal.remove_some(self._database)
        if self._word_erasure.step():
            self._sweep_at = self._sweep_at or time.monotonic()  # a project with a collection may be deleted
        self._surveyor.step(self.progress)
        return is_more

    def _apply_tasks(self) -> bool:
        """Apply the oldest tasks to Chroma. Return whether there were any."""
        by_project = following.due_tasks(self._database, self._lock.of(_tasks.c.project_id))
        for tasks in by_project.values():
            following.follow(self._database, self._open_chroma, self._matrices, self._space.name, tasks, self.keep)
        return bool(by_project)

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
        if self._lock.is_first and rewriting.is_outdated(self._database):
            return watched(rewriting.rewrite_outdated(self._database))
        if not self._space.name:
            return None
        mine = self._lock.of(_memories.c.project_id)
        reembedding = Reembedding(self._database, self._embed, self._space.name, self._failing, mine)
        if time.monotonic() >= self._embed_at and reembedding.is_needed():
            return watched(reembedding.run())
        return self._next_build()

    def _next_build(self) -> Iterator[Progress] | None:
        """Return the next build. If there is none, erase deleted vectors from the files of a collection."""
        model, mine = self._space.name, self._lock.of(_projects.c.id)
        with self._database.read() as session:
            project_id = due.next_project(session, model, self._exact_limit(), mine)
            old = due.next_to_erase(session, mine)
        if project_id is not None:
            chroma = self._open_chroma()
            build = rebuild.build_collection(self._database, chroma, self._matrices, model, project_id, self.keep)
            return watched(build)
        if old is not None:
            erasing.erase(self._database, self._open_chroma(), *old)
        return None

    def _sweep(self) -> None:
        """Delete unused collections, if there may be some."""
        if self._sweep_at is None or self._sweep_at > time.monotonic():
            return
        erasing.sweep(self._database, self._collections, self._open_chroma, self._exact_limit())
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
