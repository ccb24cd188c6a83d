"""Lets one thread at a time write to a SQLite database, across all processes that use the file.

SQLite's own lock keeps the data safe, but a waiting writer polls it only every 100 ms. Here, the next writer is woken
at once.
"""

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from server import waits
from server.machine.file_locks import try_lock
from server.waits import WRITES

POLL_SECONDS = 0.02


class WriterLock:
    """Two locks, taken in this order: one within this process, and one on a file, which the kernel releases when the
    process ends.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._threads = threading.Lock()
        self._descriptor: int | None = None
        self._waiter: _Waiter | None = None
        self.is_writing = False
        """Whether the holder of both locks has begun its transaction. Before that, it may wait for another program."""

    def note_begin(self, connection: sa.Connection) -> None:
        if connection.get_execution_options().get(WRITES):
            self.is_writing = True

    def acquire(self, seconds: float) -> bool:
        """Take both locks. Return False if others write for longer than `seconds`."""
        deadline = time.monotonic() + seconds
        if not self._threads.acquire(timeout=seconds):
            return False
        is_ours = False
        try:
            is_ours = self._acquire_file(deadline)
        finally:
            if not is_ours:
                self._threads.release()
        return is_ours

    def release(self) -> None:
        self.is_writing = False
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        """Close the file. Call it when nothing writes any more."""
        if self._waiter is not None:
            self._waiter.end()
        elif self._descriptor is not None:
            os.close(self._descriptor)
        self._waiter = self._descriptor = None

    def _acquire_file(self, deadline: float) -> bool:
        if self._descriptor is None:
            with contextlib.suppress(OSError):  # SQLite has its own lock, and reports the problem with the folder
                self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._descriptor is None:
            return True
        if (self._waiter is None or not self._waiter.is_waiting) and try_lock(self._descriptor):
            return True
        try:
            self._waiter = self._waiter or _Waiter(self._descriptor)
        except RuntimeError:  # the system has no thread left
            return _poll(self._descriptor, deadline)
        return self._waiter.wait(deadline - time.monotonic())


def _poll(descriptor: int, deadline: float) -> bool:
    """Wait for the file's lock without a thread."""
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        if try_lock(descriptor):
            return True
    return False


def lock_for(engine: sa.Engine) -> WriterLock | None:
    """Return the lock for the engine's writers, or None if it needs none. Call it when the engine has its listeners."""
    path = engine.url.database if engine.dialect.name == "sqlite" else None
    if not path:
        return None
    lock = WriterLock(Path(f"{path}.lock"))
    event.listen(engine, "begin", lock.note_begin)
    return lock


class Turn:
    """A transaction's turn to write on `engine`. Without a lock (Postgres), it is always its turn."""

    def __init__(self, lock: WriterLock | None, engine: sa.Engine) -> None:
        self.engine = engine
        self._lock = lock
        self._is_ours = False

    def take(self) -> None:
        """Wait for the turn. Raises TimeoutError, like a wait for a connection, if the request has waited enough."""
        if self._lock is None:
            return
        with waits.counted() as left:
            self._is_ours = self._lock.acquire(left)
        if not self._is_ours:
            raise sa.exc.TimeoutError("other transactions are writing")

    def give_up(self) -> None:
        if self._lock is not None and self._is_ours:
            self._is_ours = False
            self._lock.release()


class _Waiter:
    """Waits for the file's lock on a thread of its own, since this wait has no time limit and cannot be ended."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._changed = threading.Condition()
        self._is_wanted = False
        self._is_ending = False
        self._has_lock = False
        self.is_waiting = False
        """Whether the thread waits for the file's lock, even if the writer that it began to wait for has given up."""

        threading.Thread(target=self._run, name="writer-lock", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Return whether this process got the lock. If not, the thread keeps waiting, and then releases it at once."""
        with self._changed:
            self._is_wanted = self.is_waiting = True
            self._has_lock = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self.is_waiting, max(seconds, 0))
            self._is_wanted = False
            return self._has_lock

    def end(self) -> None:
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    def _run(self) -> None:
        while self._is_needed():
            has_lock = False
            with contextlib.suppress(OSError):  # a network file system may refuse it; the next writer tries again
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                has_lock = True
            with self._changed:
                self._has_lock = has_lock and self._is_wanted
                if has_lock and not self._is_wanted:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
                self.is_waiting = False  # only now, because another thread may then lock the same descriptor
                self._changed.notify_all()
        os.close(self._descriptor)

    def _is_needed(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self.is_waiting or self._is_ending)
            return not self._is_ending
