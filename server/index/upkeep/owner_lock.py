"""Decides which process owns the index of which projects. Only an owner changes the index. On Postgres, leases in the
database decide (`leases`). On SQLite, a file lock in DATA_DIR decides, which the kernel releases when the process
ends. The same lock protects an embedded Chroma, whose files only one process may open.
"""

import os
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session

from server.index.upkeep import leases
from server.index.upkeep.leases import SHARDS, LeaseLost, Leases, is_of
from server.machine.file_locks import try_lock
from server.settings import INDEX_LOCK_FILE, Settings, make_private
from server.storage.database import Database, is_sqlite

MOST_BYTES = 1_000
NOBODY = "not kept up to date, because no server is running"


class OwnerLock:
    """The parts that this process owns. Call `acquire` before each step, and `keep` repeatedly during a long one."""

    def __init__(self, settings: Settings, database: Database) -> None:
        is_alone = database.is_sqlite or not settings.chroma_url
        make_private(settings.data_dir)  # only once: a folder that is moved away must not come back empty
        self._file = FileLock(settings.data_dir / INDEX_LOCK_FILE) if is_alone else None
        self._leases = None if database.is_sqlite else Leases(database, share=not is_alone)
        self.database = database if self._leases is None else database.guarded(self._require)
        """Its write transactions raise LeaseLost if another process now owns the parts."""

    def acquire(self) -> bool:
        """Take free parts, or check that this process still holds its own. Raises LeaseLost if it has lost any."""
        if self._file is not None and not self._file.is_held:
            if not self._file.acquire():
                return False
            if self._leases is not None:  # the process that held the file before is dead
                self._leases.end_leases_of(self._file.replace_text(self._leases.name))
        if self._leases is not None and not self._leases.balance():
            raise LeaseLost
        return self.is_held()

    def keep(self) -> None:
        """Renew the leases if it is time. Raises LeaseLost."""
        if self._leases is not None:
            self._leases.renew()

    def is_held(self) -> bool:
        """Return whether this process owned any projects when it last checked."""
        return bool(self.shards)

    @property
    def shards(self) -> frozenset[int]:
        """The parts of the projects that this process owns."""
        if self._file is not None and not self._file.is_held:
            return frozenset()
        return frozenset(range(SHARDS)) if self._leases is None else self._leases.shards

    @property
    def is_first(self) -> bool:
        """Whether this process does the work that only one process may do, across all projects."""
        return 0 in self.shards

    def of(self, project_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Match the projects that this process owns."""
        return is_of(self.shards, project_id)

    def release(self) -> None:
        if self._leases is not None:
            self._leases.release()
        if self._file is not None:
            self._file.release()

    def _require(self, session: Session) -> None:
        assert self._leases is not None  # noqa: S101 - only leases guard a database
        self._leases.require(session)


class FileLock:
    """Call `acquire()` until it returns True."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def exists(self) -> bool:
        """Return whether a process has ever taken the lock."""
        return self._path.exists()

    def acquire(self) -> bool:
        """Take the lock, unless it is held already. Return False if another process holds it."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not try_lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def replace_text(self, text: str) -> str:
        """Write the text into the locked file. Return its previous content."""
        assert self._descriptor is not None  # noqa: S101 - the caller holds the lock
        before = os.pread(self._descriptor, MOST_BYTES, 0)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)
        return before.decode("utf-8", "replace")

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def ownership(settings: Settings, session: Session) -> str:
    """Return who keeps the index up to date, for people."""
    if not is_sqlite(session):
        names = leases.owners(session)
        whole = "" if all(names) else "; a part of it is not kept up to date"
        return f"kept up to date by {', '.join(filter(None, names))}{whole}" if any(names) else NOBODY
    if is_in_use(settings):
        return f"kept up to date by a process that uses {settings.data_dir.absolute()}"
    return NOBODY


def is_in_use(settings: Settings) -> bool:
    """Return whether a process that uses the data folder keeps the index up to date."""
    lock = FileLock(settings.data_dir / INDEX_LOCK_FILE)
    if not lock.exists():
        return False
    is_free = lock.acquire()
    lock.release()
    return not is_free
