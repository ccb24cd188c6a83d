"""Why the database cannot be used, in one true sentence for the operator."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from server import data_folder
from server.errors import MaybeStored, Unavailable
from server.postgres import CommitUnknown
from server.settings import SettingsError

READ_ONLY = "The database only allows reading at the moment; nothing was changed. Try again later."
DISK_FULL = "The database has no space left on its disk; nothing was changed. Tell who runs the server."
FOR_CALLERS = {
    "25006": READ_ONLY,
    "53100": DISK_FULL,
    "53300": "The database has no connection left; nothing was changed. Try again.",
    "57014": "The database took too long; nothing was changed. Ask for less, or try again.",
}
"""What callers are told, by SQLSTATE. All other outages have the general sentence."""

POSTGRES_REASONS = {
    "read-only": "it only allows reading: SELFMEMORY_DATABASE_URL must lead to a primary server",
    "password": "it refuses the user or the password in SELFMEMORY_DATABASE_URL",
    "does not exist": "the user or the database in SELFMEMORY_DATABASE_URL does not exist: create it",
    "connection slots": "it has no connection left: lower SELFMEMORY_DATABASE_POOL, or raise max_connections there",
    "too many": "it has no connection left: lower SELFMEMORY_DATABASE_POOL, or raise max_connections there",
}


PRIMARY_CODE = 0xFF
"""The part of SQLite's error codes that names the kind."""

NO_CONNECTION = ("too many", "connection slots")
"""What the refusal of another connection says, whose SQLSTATE the driver does not know."""

SQLITE_STATES = {sqlite3.SQLITE_READONLY: "25006", sqlite3.SQLITE_FULL: "53100"}


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raises SettingsError for a failure that a setting or the state of the database at `url` causes."""
    try:
        yield
    except (sa.exc.DatabaseError, sa.exc.TimeoutError) as error:
        if isinstance(error, sa.exc.ProgrammingError | sa.exc.IntegrityError | sa.exc.DataError):
            raise  # a bug
        raise SettingsError(reason(url, error)) from error


def unavailable(error: sa.exc.SQLAlchemyError) -> Unavailable:
    """Return the error that callers see of an outage."""
    if isinstance(error, CommitUnknown):
        return MaybeStored()
    return Unavailable(FOR_CALLERS.get(_state_of(getattr(error, "orig", None))))


def _state_of(origin: BaseException | None) -> str:
    """Return the SQLSTATE of a failure, or of one of Postgres that is like it; "" if there is none."""
    if isinstance(origin, sqlite3.Error):
        return SQLITE_STATES.get(getattr(origin, "sqlite_errorcode", 0) & PRIMARY_CODE, "")
    state = getattr(origin, "sqlstate", None)
    return state or ("53300" if any(words in str(origin) for words in NO_CONNECTION) else "")


def reason(url: str, error: sa.exc.DatabaseError | sa.exc.TimeoutError) -> str:
    """Return the sentence. It never holds the URL, which may have a password."""
    parts = sa.make_url(url)
    said = "locked" if isinstance(error, sa.exc.TimeoutError) else str(error.orig).lower()
    if parts.get_backend_name() == "sqlite":
        return _reason_of_file(Path(parts.database or "").absolute(), said)
    why = next((why for words, why in POSTGRES_REASONS.items() if words in said), None)
    return f"the database is not usable: {why or 'check SELFMEMORY_DATABASE_URL, and that it runs'}"


def _reason_of_file(file: Path, said: str) -> str:
    user_id = os.geteuid()
    if "locked" in said:
        return f"another program holds the database {file}: close that program, then try again"
    if "full" in said:
        return f"there is no space left for the database {file}: free some, or set SELFMEMORY_DATA_DIR to another disk"
    if "not a database" in said or "malformed" in said:
        return (
            f"{file} is damaged or not a SQLite database: restore a backup, or move it away to begin with an empty one"
        )
    if not os.access(file.parent, os.W_OK | os.X_OK, effective_ids=True):
        return data_folder.refusal(file.parent, PermissionError(1, "the folder of the database is read-only"))
    if "readonly" in said or "unable to open" in said:
        return (
            f"the database {file} is read-only for user {user_id}. Run: sudo chown {user_id} {file}* "
            "(or mount its disk writable)"
        )
    return f"the database {file} is not usable: {said}"


@contextmanager
def translating_outages() -> Iterator[None]:
    """Translate a database that is locked, full or unreachable into Unavailable.

    Nothing was stored, or it says that something may have been.
    """
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise unavailable(error) from error
