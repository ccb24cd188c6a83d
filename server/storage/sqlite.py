"""How the server talks to SQLite: the pragmas of a connection, and how a writer waits for the file."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExceptionContext

from server import waits
from server.settings import INDEX_LOCK_FILE, SECRET_KEY_FILE, SettingsError
from server.storage.postgres import CommitUnknown
from server.waits import NOTABLE_SECONDS, WRITES

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged write survives a power failure
    "foreign_keys=ON",
    "secure_delete=ON",  # overwrite deleted text in the file
    "cache_size=-32000",
    "temp_store=MEMORY",
)

NO_FILE = ("file:", ":")
"""A database whose name begins so is not a plain path: a URI, or memory."""

PROBE_SECONDS = 1.0
"""How long `write_refusal` waits for a writer that does not commit."""

REPLACED = "was replaced by another file, which the server uses only after a restart"
"""What the log says when another file has the name of the opened one."""

PRIMARY_CODE = 0xFF
"""The bits of an error code that hold the primary code."""

SIGNS_OF_USE = (SECRET_KEY_FILE, INDEX_LOCK_FILE)
"""Files that a server creates in its data folder only after the database has tables."""


def require_not_lost(file: Path) -> None:
    """Raises SettingsError if the content of the database is missing although files next to it show that it had one."""
    size = file.stat().st_size if file.exists() else None
    log = file.with_name(f"{file.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    if has_log and not size:  # SQLite would delete it
        leftovers = f"{file} and {log} away" if size == 0 else f"{log} away"
    elif size == 0 and any(file.with_name(name).exists() for name in SIGNS_OF_USE):
        leftovers = f"{file} away"
    else:
        return
    raise SettingsError(
        f"the database {file.absolute()} is {'missing' if size is None else 'empty'}, but a server has already used "
        f"it: put the file back or restore a backup, or move {leftovers} to start with an empty database"
    )


class OpenedFile:
    """The file that a database has open. SQLite would go on to use it after it was moved, deleted or replaced, so that
    what is stored then would be lost.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._first: os.stat_result | None = None

    def problem(self) -> str | None:
        """Return why the path no longer leads to the file that it led to at the first call, or None."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return f"{self.path} was moved or deleted"
        except OSError as error:
            return f"{self.path} cannot be used: {error.strerror}"
        self._first = self._first or found
        return None if os.path.samestat(self._first, found) else f"{self.path} {REPLACED}"

    def require(self, *_arguments: object) -> None:
        """Raises OperationalError if there is a problem with a file that was opened before."""
        if self._first is not None and (problem := self.problem()):
            raise _refusal(problem)


def file_of(url: sa.URL | str) -> OpenedFile | None:
    """Return the file of the database, or None if it is no plain file."""
    parts = sa.make_url(url)
    path = parts.database if parts.get_backend_name() == "sqlite" else None
    return OpenedFile(path) if path and not path.startswith(NO_FILE) else None


_shared: OpenedFile | None = None


def share(file: OpenedFile | None) -> None:
    """Tell this worker process which file its parent opened."""
    global _shared
    _shared = file


def require_shared_file() -> None:
    """Raises SettingsError in a worker process if its parent's file is gone: it would create an empty one there."""
    if _shared and (problem := _shared.problem()):
        raise SettingsError(f"the database {problem}: put it back, or restart the server")


def listen(engine: sa.Engine) -> None:
    """Prepare each connection, and make transactions begin read-only or as writers."""
    event.listen(engine, "connect", _on_connect)
    if file := file_of(engine.url):
        event.listen(engine, "do_connect", file.require)
        event.listen(engine, "begin", lambda connection: _require_file(engine, file, connection))
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", _on_error)


def write_refusal(engine: sa.Engine) -> int | None:
    """Return the primary error code with which the file refuses a writer now, or None. If it is busy because others
    commit one transaction after the other, that is no refusal.
    """
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        before = cursor.execute("PRAGMA data_version").fetchone()
        try:
            with waiting(cursor.execute, PROBE_SECONDS):
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    cursor.execute("DELETE FROM alembic_version WHERE 0")  # a read-only file lets a writer begin
                finally:
                    cursor.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            is_in_use = before != cursor.execute("PRAGMA data_version").fetchone()
            return None if is_in_use else error.sqlite_errorcode & PRIMARY_CODE
    return None


@contextmanager
def waiting(execute: Callable[[str], object], seconds: float) -> Iterator[None]:
    """Let the connection of `execute` wait this long for a lock, instead of as long as any other."""
    execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
    try:
        yield
    finally:
        execute(f"PRAGMA busy_timeout={int(waits.WAIT_SECONDS * 1000)}")


def turn_off_foreign_keys(engine: sa.Engine) -> None:
    """Turn foreign keys off on new connections, for migrations: rebuilding a table drops it, which would cascade."""
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys=OFF"))


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # `_on_begin` sends BEGIN, so the driver must not
    for pragma in (*PRAGMAS, f"busy_timeout={int(waits.WAIT_SECONDS * 1000)}"):
        connection.execute(f"PRAGMA {pragma}")


def _require_file(engine: sa.Engine, file: OpenedFile, connection: sa.Connection) -> None:
    """Raises OperationalError if the path no longer leads to the file."""
    problem = file.problem()
    if problem is None:
        return
    if os.path.exists(file.path) and _empty_log(connection):
        engine.dispose()
    raise _refusal(problem)


def _refusal(problem: str) -> sa.exc.OperationalError:
    return sa.exc.OperationalError("BEGIN", None, sqlite3.OperationalError(problem))


def _empty_log(connection: sa.Connection) -> bool:
    """Move what the log holds into the connection's own file, and return whether the log is empty. SQLite would apply
    the log to the file that now has the name.
    """
    cursor = connection.connection.cursor()
    with suppress(sqlite3.Error), waiting(cursor.execute, PROBE_SECONDS):
        (is_busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy
    return False


def _on_begin(connection: sa.Connection) -> None:
    """Wait for the file only as long as the request may still wait.

    Otherwise, if another program locks the file, each of the queued writers would wait for the full time.
    """
    if not connection.get_execution_options().get(WRITES):
        connection.connection.execute("BEGIN")  # this statement reads no file, so it cannot fail
        return
    with waits.counted() as left:
        is_shorter = waits.WAIT_SECONDS - left > NOTABLE_SECONDS
        with waiting(connection.exec_driver_sql, left) if is_shorter else nullcontext():
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def _on_error(context: ExceptionContext) -> CommitUnknown | None:
    """Return CommitUnknown if the disk did not confirm a commit: the transaction is undone, but a crash may bring it
    back from the log.
    """
    error = context.original_exception
    is_unconfirmed = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_FSYNC
    if not is_unconfirmed or context.statement is not None:
        return None
    return CommitUnknown("COMMIT", None, error, hide_parameters=True)
