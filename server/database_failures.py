"""Why the database cannot be used, in one true sentence for the operator."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from server import data_folder
from server.settings import SettingsError

POSTGRES_REASONS = {
    "read-only": "it only allows reading: SELFMEMORY_DATABASE_URL must lead to a primary server",
    "password": "it refuses the user or the password in SELFMEMORY_DATABASE_URL",
    "does not exist": "the user or the database in SELFMEMORY_DATABASE_URL does not exist: create it",
    "connection slots": "it has no connection left: lower SELFMEMORY_DATABASE_POOL, or raise max_connections there",
    "too many": "it has no connection left: lower SELFMEMORY_DATABASE_POOL, or raise max_connections there",
}


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Raises SettingsError for what a wrong setting, or the state of the database at `url`, causes."""
    try:
        yield
    except (sa.exc.DatabaseError, sa.exc.TimeoutError) as error:
        if isinstance(error, sa.exc.ProgrammingError | sa.exc.IntegrityError | sa.exc.DataError):
            raise  # a bug
        raise SettingsError(reason(url, error)) from error


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
        return f"{file} is damaged or no SQLite database: restore a backup, or move it away to begin with an empty one"
    if not os.access(file.parent, os.W_OK | os.X_OK, effective_ids=True):
        return data_folder.refusal(file.parent, PermissionError(1, "the folder of the database is read-only"))
    if "readonly" in said or "unable to open" in said:
        return (
            f"the database {file} is read-only for user {user_id}. Run: sudo chown {user_id} {file}* "
            "(or mount its disk writable)"
        )
    return f"the database {file} is not usable: {said}"
