"""Stores the activity that operations report, in batches: a separate thread writes once a second."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import sqlalchemy as sa

from server import waits
from server.domain.memory import activity
from server.domain.memory.activity import Noted
from server.shell.gathered_reads import GatheredReads
from server.storage.database import Database

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
MOST_WAITING = 10_000
"""Maximum number of events to keep in memory. While the database accepts no writes, further events are dropped."""

BATCH_ROWS = 500


class ActivityLog:
    """Keeps events until they are stored, or discards them if `days` is 0. Thread-safe.

    `count_dropped` is called for each event that is dropped.
    """

    def __init__(self, database: Database, days: int, count_dropped: Callable[[], None] = lambda: None) -> None:
        self.days = days
        self._database = database
        self._count_dropped = count_dropped
        self._waiting: deque[Noted] = deque()
        self._gathered = GatheredReads()
        self._dropped = 0
        self._storing = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="activity", daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        self._thread.start()

    def add(self, events: Iterable[Noted]) -> None:
        """Keep the events until the thread stores them."""
        if self.days:
            self._keep(event for event in events if not self._gathered.take(event))

    def _keep(self, events: Iterable[Noted]) -> None:
        for event in events:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(event)
            else:
                self._drop()

    def flush(self, *, all_of_them: bool = True) -> None:
        """Store the waiting events, and the gathered ones if that is due or `all_of_them`. If the database accepts no
        writes, try again later. Never raises.
        """
        self._keep(self._gathered.grown(at_once=all_of_them))
        if not self._waiting and not self._dropped:
            return
        with waits.counted() as left:
            is_mine = self._storing.acquire(timeout=left)
        if is_mine:
            try:
                self._store_all()
            finally:
                self._storing.release()

    def _store_all(self) -> None:
        try:
            while batch := self._oldest():
                self._store(batch)
                for _ in batch:
                    self._waiting.popleft()
        except (sa.exc.OperationalError, sa.exc.TimeoutError):
            log.warning("activity was not stored yet", extra={"events": len(self._waiting)})
        if self._dropped:
            log.warning("activity was dropped", extra={"events": self._dropped})
            self._dropped = 0

    def _oldest(self) -> list[Noted]:
        """Return the next events to store. Others add events at any moment, which would end an iteration."""
        return [self._waiting[place] for place in range(min(BATCH_ROWS, len(self._waiting)))]

    def _store(self, batch: Sequence[Noted]) -> None:
        """Store the events, or drop them if a bug prevents it: they must not keep the later ones waiting."""
        try:
            with self._database.write() as session:
                activity.store(session, batch)
        except (sa.exc.OperationalError, sa.exc.TimeoutError):
            raise
        except Exception:
            log.exception("activity cannot be stored")
            for _ in batch:
                self._drop()

    def _drop(self) -> None:
        self._dropped += 1
        self._count_dropped()

    def close(self) -> None:
        """Store the remaining events and end the thread."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._ending.wait(INTERVAL_SECONDS):
            waits.begin()
            self.flush(all_of_them=False)
