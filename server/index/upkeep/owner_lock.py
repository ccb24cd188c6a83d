"""Who may write the index: one process at a time, chosen by a lock that ends with its holder."""

import fcntl
import os
from pathlib import Path

import sqlalchemy as sa

from server.database import Database

_ADVISORY = 72_627_002
"""The number of the lock in Postgres; migrations hold the one before."""


class OwnerLock:
    """Tried for again and again until it is had. A file in DATA_DIR; with Postgres, a lock there besides."""

    def __init__(self, file: Path, database: Database) -> None:
        self._file, self._database = file, database
        self._descriptor: int | None = None
        self._connection: sa.Connection | None = None

    def is_had(self) -> bool:
        """Whether this process is the owner, now; tries to become it."""
        return self._locks_file() and (self._database.is_sqlite or self._locks_database())

    def give_up(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # a session's lock ends with the session, not with its return to the pool
            self._connection.close()
            self._connection = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _locks_file(self) -> bool:
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

    def _locks_database(self) -> bool:
        """Asks again each time: a broken connection has lost the lock."""
        try:
            if self._connection is None:
                self._connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                return self._try_advisory(self._connection)
            self._connection.exec_driver_sql("SELECT 1")
        except sa.exc.OperationalError:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()
                self._connection = None
            return False
        return True

    def _try_advisory(self, connection: sa.Connection) -> bool:
        if connection.execute(sa.select(sa.func.pg_try_advisory_lock(_ADVISORY))).scalar_one():
            return True
        connection.close()
        self._connection = None
        return False
