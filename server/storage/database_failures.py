"""Explains in one sentence to the operator why the database cannot be used."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

import sqlalchemy as sa

from server.errors import MaybeStored, Unavailable
from server.settings import SettingsError
from server.storage import data_folder, postgres
from server.storage.sqlite import PRIMARY_CODE

READ_ONLY = "The database is read-only at the moment; nothing was changed. Try again later."
DISK_FULL = "The database has no space left on its disk; nothing was changed. Tell the server's administrator."
NO_SPACE = "53100"
"""The SQLSTATE of a full disk."""

FOR_CALLERS = {
    postgres.READ_ONLY: READ_ONLY,
    NO_SPACE: DISK_FULL,
    "53300": "The database has no connection left; nothing was changed. Try again.",
    "57014": "The database took too long; nothing was changed. Ask for less, or try again.",
}
"""What callers read, by SQLSTATE. All other outages get the general sentence."""

NO_CONNECTION_LEFT = (
    "it has no connection left: lower SELFMEMORY_DATABASE_POOL, or raise max_connections on the database server"
)
POSTGRES_REASONS = {
    "read-only": "it is read-only: SELFMEMORY_DATABASE_URL must lead to a primary server",
    "password": "it refuses the user or the password in SELFMEMORY_DATABASE_URL",
    "does not exist": "the user or the database in SELFMEMORY_DATABASE_URL does not exist: create it",
    "connection slots": NO_CONNECTION_LEFT,
    "too many": NO_CONNECTION_LEFT,
    "permission denied": "the user in SELFMEMORY_DATABASE_URL lacks a right there. "
    "Run in Postgres: ALTER DATABASE name OWNER TO user",
    "no schema has been selected": "it has no schema for tables: create one, or correct the search_path",
    "resolve host": "the host in SELFMEMORY_DATABASE_URL cannot be found",
    "support ssl": "check the sslmode in SELFMEMORY_DATABASE_URL",
    "sslmode": "check the sslmode in SELFMEMORY_DATABASE_URL",
    "pg_hba.conf": "its pg_hba.conf does not let this machine in, or only with sslmode=require",
}
"""What to do, by words in the message of a failed connection or of a refused statement."""

UNKNOWN_OPTION = re.compile(r'invalid connection option "([a-z_]+)"')
OF_OPERATORS = frozenset({"42501", "3F000"})
"""The SQLSTATEs of statements that the database refuses because of how it is set up."""


NO_CONNECTION = ("too many", "connection slots")
"""Words in the messages of failed connections, which have no SQLSTATE."""

SQLITE_STATES = {sqlite3.SQLITE_READONLY: postgres.READ_ONLY, sqlite3.SQLITE_FULL: NO_SPACE}


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raises SettingsError if a setting, or the state of the database at `url`, caused the failure."""
    try:
        yield
    except (sa.exc.DatabaseError, sa.exc.TimeoutError) as error:
        if _is_bug(error):
            raise
        raise SettingsError(reason(url, error)) from error
    except sqlite3.DatabaseError as error:  # of a command that copies the file itself
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
            raise
        raise SettingsError(_reason_of_file(_file_of(sa.make_url(url)), str(error).lower())) from error


def _is_bug(error: sa.exc.SQLAlchemyError) -> bool:
    """Return whether this server made a mistake, and not the person who set up the database."""
    if isinstance(error, sa.exc.ProgrammingError):
        return error.orig is None or not (
            state_of(error.orig) in OF_OPERATORS or UNKNOWN_OPTION.search(str(error.orig))
        )
    return isinstance(error, sa.exc.IntegrityError | sa.exc.DataError)


def unavailable(error: sa.exc.SQLAlchemyError) -> Unavailable:
    """Return the error that callers see during an outage."""
    if isinstance(error, postgres.CommitUnknown):
        return MaybeStored()
    return Unavailable(FOR_CALLERS.get(state_of(getattr(error, "orig", None))))


def state_of(origin: BaseException | None) -> str:
    """Return the SQLSTATE of a failure, or of a similar failure of Postgres; "" if there is none."""
    if isinstance(origin, sqlite3.Error):
        return SQLITE_STATES.get(getattr(origin, "sqlite_errorcode", 0) & PRIMARY_CODE, "")
    state = getattr(origin, "sqlstate", None)
    return state or ("53300" if any(words in str(origin) for words in NO_CONNECTION) else "")


def reason(url: str, error: sa.exc.DatabaseError | sa.exc.TimeoutError) -> str:
    """Return the sentence. It never holds the URL, which may have a password."""
    parts = sa.make_url(url)
    message = "locked" if isinstance(error, sa.exc.TimeoutError) else str(error.orig).lower()
    if parts.get_backend_name() == "sqlite":
        return _reason_of_file(_file_of(parts), message)
    return _reason_of_server(message)


def why(cause: BaseException | None) -> str:
    """Return in one line for the log what failed during a request, and what to do if the database is out of reach."""
    origin = getattr(cause, "orig", None) or cause
    if origin is None:
        return ""
    reason = getattr(origin, "strerror", None) or next(iter(origin.args), "")
    message = str(reason).strip().partition("\n")[0]
    is_server = isinstance(cause, sa.exc.OperationalError) and not isinstance(origin, sqlite3.Error)
    if is_server and getattr(origin, "sqlstate", None) is None:
        return f"{_reason_of_server(message.lower())} ({message})"
    return f"{type(origin).__name__}: {message}" if message else type(origin).__name__


def why_unavailable(error: Unavailable) -> str:
    """Return in one line for the log why something cannot be done now."""
    return why(error.__cause__) or error.detail


def _reason_of_server(message: str) -> str:
    reason = next((reason for words, reason in POSTGRES_REASONS.items() if words in message), None)
    if option := UNKNOWN_OPTION.search(message):
        reason = f"remove the unknown option {option[1]} from SELFMEMORY_DATABASE_URL"
    return f"the database is not usable: {reason or 'check SELFMEMORY_DATABASE_URL, and that it runs'}"


def _file_of(url: sa.URL) -> Path:
    return Path(url.database or "").absolute()


def _reason_of_file(file: Path, message: str) -> str:
    user_id = os.geteuid()
    if "locked" in message:
        return f"another program holds the database {file}: close that program, then try again"
    if "full" in message:
        return f"there is no space left for the database {file}: free some space, or use a larger disk"
    if "not a database" in message or "malformed" in message:
        return (
            f"{file} is damaged or not a SQLite database: restore a backup, or move the file away to start with an "
            "empty database"
        )
    if file.parent.exists() and not file.parent.is_dir():
        return data_folder.refusal(file.parent, NotADirectoryError(errno.ENOTDIR, "it is not a folder"))
    if file.parent.exists() and os.statvfs(file.parent).f_flag & os.ST_RDONLY:
        return data_folder.refusal(file.parent, OSError(errno.EROFS, "its disk is read-only"))
    if not os.access(file.parent, os.W_OK | os.X_OK, effective_ids=True):
        return data_folder.refusal(file.parent, PermissionError(1, "the folder of the database is read-only"))
    if "readonly" in message or "unable to open" in message:
        return (
            f"the database {file} is read-only for user {user_id}. Run: sudo chown {user_id} {quote(str(file))}* "
            "(or mount its disk writable)"
        )
    return f"the database {file} is not usable: {message}"


@contextmanager
def translating_outages() -> Iterator[None]:
    """Translate a database that is locked, full or unreachable into Unavailable.

    If something may have been stored, the error says so.
    """
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise unavailable(error) from error
