"""Copies a SQLite database. If the secret key is in the data folder, next to the original, the copy also contains it,
in a table that only copies have.
"""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from server import waits
from server.sealing import key_id
from server.settings import SECRET_KEY_FILE, Settings, SettingsError
from server.storage.sqlite import PRIMARY_CODE

MAGIC = b"SQLite format 3\0"
_TABLE = "selfmemory_backup"


@dataclass(frozen=True, slots=True)
class KeyOfCopy:
    """`name` identifies the key that the original used; `value` is the key, if the copy contains it."""

    name: str
    value: str | None


def database_file(settings: Settings) -> Path:
    """Return the database file, even if the setting names a link to it."""
    return Path(sa.make_url(settings.database_url.get_secret_value()).database or "").resolve()


def require_database(settings: Settings) -> None:
    """Raises SettingsError if the database is a SQLite file that does not exist. Opening it would create it."""
    if settings.is_sqlite and not (file := database_file(settings)).exists():
        is_named = "database_url" in settings.model_fields_set
        setting = "DATABASE_URL to the database" if is_named else "DATA_DIR to the folder"
        what_to_do = f"start the server once, or set SELFMEMORY_{setting} of the server"
        raise SettingsError(f"there is no database {file}: {what_to_do}")


def copy(settings: Settings, file: Path) -> None:
    """Write a consistent copy of the database into the empty `file`, while others write. Raises SettingsError."""
    source = database_file(settings)
    with _connected(source) as connection, _explained(file):
        _copy_into(connection, file)
    with _connected(file) as connection, _explained(file):
        _write_key(connection, settings)
        check_result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if check_result != "ok":
        raise SettingsError(f"the database {source} is damaged ({_one_line(check_result)}): restore an older backup")


def _copy_into(connection: sqlite3.Connection, file: Path) -> None:
    """Copy in a thread, because Ctrl-C would otherwise wait for the statement to end."""
    with ThreadPoolExecutor(1) as thread:
        copying = thread.submit(connection.execute, "VACUUM INTO ?", (str(file),))
        try:
            copying.result()
        finally:
            connection.interrupt()


def _write_key(connection: sqlite3.Connection, settings: Settings) -> None:
    configured = settings.secret_key.get_secret_value()
    key_file = settings.data_dir / SECRET_KEY_FILE
    connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")
    if configured or key_file.exists():
        connection.execute(f"CREATE TABLE {_TABLE} (key_name TEXT NOT NULL, secret_key TEXT)")
        value = None if configured else key_file.read_text("ascii").strip()
        name = key_id(settings)
        connection.execute(f"INSERT INTO {_TABLE} VALUES (?, ?)", (name, value))  # noqa: S608 - a constant


def take_key(file: Path) -> KeyOfCopy | None:
    """Remove the key from a copy and return it. None if there was no key, or another program made the copy."""
    with _connected(file) as connection:
        if not _has_table(connection, _TABLE):
            return None
        row = connection.execute(f"SELECT key_name, secret_key FROM {_TABLE}").fetchone()  # noqa: S608 - a constant
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"DROP TABLE {_TABLE}")
        return KeyOfCopy(*row) if row else None


def schema_of(file: Path, name: str) -> str:
    """Return the schema of an undamaged database of this server. `name` is for messages. Raises SettingsError."""
    try:
        with _connected(file) as connection:
            if not all(_has_table(connection, table) for table in ("alembic_version", "projects", "memories")):
                raise SettingsError(f"{name} is another program's database, not a backup of this server")
            size = connection.execute("PRAGMA page_size").fetchone()[0]
            is_cut = file.stat().st_size % size
            check_result = (
                "the end of the file is missing"
                if is_cut
                else connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            )
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        check_result, row = str(error), None
    if check_result != "ok" or row is None:
        raise SettingsError(f"{name} is damaged ({_one_line(check_result)}): use another backup; nothing was changed")
    return str(row[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    """Connect to an existing file. A missing file is not created."""
    uri, wait = f"file:{quote(str(file))}?mode=rw", waits.WAIT_SECONDS
    with closing(
        sqlite3.connect(uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False)
    ) as connection:
        yield connection


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Raises SettingsError for an error that prevents writing a copy to `file`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & PRIMARY_CODE not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        folder = file.parent.absolute()
        raise SettingsError(f"cannot write to {folder} ({error}): check that its disk has space and works") from None
