"""The lock that lets one process at a time write the index. It ends with the process that holds it."""

import fcntl
import os
from pathlib import Path

import sqlalchemy as sa

from server.database import Database
from server.postgres import is_pooled

ADVISORY_LOCK = 72_627_002
"""The number of the Postgres lock; `server.database` uses the one before it for migrations."""


class OwnerLock:
    """A file lock in DATA_DIR, plus an advisory lock on Postgres. Call `acquire()` until it returns True.

    Behind a pooler, the advisory lock belongs to a transaction that stays open, so that the pooler reserves the
    server's session for us. The transaction holds no snapshot and no row.
    """

    def __init__(self, file: Path, database: Database) -> None:
        self._file = file
        self._database = database
        self._descriptor: int | None = None
        self._connection: sa.Connection | None = None

    def acquire(self) -> bool:
        """Take the lock, or check that this process still holds it. Return False if another process holds it."""
        return self._lock_file() and (self._database.is_sqlite or self._lock_database())

    def is_held(self) -> bool:
        """Return whether this process held the lock when it last checked."""
        return self._descriptor is not None and (self._database.is_sqlite or self._connection is not None)

    def release(self) -> None:
        self._drop_connection()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock_file(self) -> bool:
        if self._descriptor is not None:
            return True
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _lock_database(self) -> bool:
        """Check the connection every time, because a broken one has lost the lock."""
        try:
            if self._connection is None:
                self._connection = self._database.engine.connect()
                return self._try_advisory(self._connection)
            self._connection.exec_driver_sql("SELECT 1")
        except sa.exc.OperationalError:
            self._drop_connection()
            return False
        return True

    def _try_advisory(self, connection: sa.Connection) -> bool:
        if is_pooled(connection):
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            lock = sa.func.pg_try_advisory_xact_lock(ADVISORY_LOCK)
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            lock = sa.func.pg_try_advisory_lock(ADVISORY_LOCK)
        if connection.execute(sa.select(lock)).scalar_one():
            return True
        connection.close()
        self._connection = None
        return False

    def _drop_connection(self) -> None:
        if self._connection is None:
            return
        self._connection.invalidate()  # returned to the pool, the session would keep its lock
        self._connection.close()
        self._connection = None
