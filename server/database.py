"""The SQL database, SQLite (WAL) or Postgres: its engine, read and write transactions, and migrations at start."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlmodel import Session

from server import waits
from server.quotas import TRASH_DAYS, UNLIMITED, Quota
from server.settings import SettingsError, make_private

NOTABLE_SECONDS = 0.1
"""Shorter waits before a transaction do not shorten its wait for the file or for a lock, which costs statements."""

MIGRATIONS = Path(__file__).parent / "migrations"
_WRITES = "writes"
_WRITER = "writer"
_QUOTA = "quota"
_TRASH_DAYS = "trash_days"
_SNAPSHOT = "REPEATABLE READ"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged write survives a power cut
    "foreign_keys=ON",
    "secure_delete=ON",  # overwrites deleted text in the file
    "cache_size=-32000",
    "temp_store=MEMORY",
)


class Database:
    """One engine. SQLite allows one writer at a time, so this process's writers queue at a lock instead of polling.

    Every session knows `quota` and `trash_days`, so that no door can forget them.
    """

    def __init__(self, url: str, *, connections: int, quota: Quota = UNLIMITED, trash_days: int = TRASH_DAYS) -> None:
        self._info = {_QUOTA: quota, _TRASH_DAYS: trash_days}
        self.engine = _engine(url, connections)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = self.engine.execution_options(**{_WRITES: True})
        self._reading = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        self._writer = threading.Lock() if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Begin a transaction that only reads: one snapshot, which never waits for a writer.

        The session joins the transaction when it runs a statement of its own; a `statements.Query` needs none of that.
        """
        with self._reading.begin() as connection, Session(connection, expire_on_commit=False) as session:
            session.info.update(self._info)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Begin a transaction that may write. Commits at the end; any exception rolls back."""
        turn = _Turn(self._writer)
        with turn, Session(self._writing, expire_on_commit=False) as session:
            session.info[_WRITER] = turn
            session.info.update(self._info)
            yield session
            session.commit()

    def close(self) -> None:
        self.engine.dispose()


class _Turn:
    """This process's turn to write, which ends with the block. Without a lock (Postgres) it is always our turn."""

    def __init__(self, lock: "threading.Lock | None") -> None:
        self._lock = lock
        self._held = False

    def __enter__(self) -> None:
        """Raises TimeoutError when the request has waited long enough, as for a connection."""
        if self._lock is None:
            return
        with waits.counted() as left:
            self._held = self._lock.acquire(timeout=left)
        if not self._held:
            raise sa.exc.TimeoutError("other transactions of this process are writing")

    def __exit__(self, *_error: object) -> None:
        if self._lock is not None and self._held:
            self._held = False
            self._lock.release()


@contextmanager
def paused(session: Session) -> Iterator[None]:
    """Commit the transaction while something slow runs, so that no writer waits. The next statement begins a new one.

    Use it before an operation's first write. Rows that were read before may have changed afterwards. Then it waits for
    its turn again, and raises TimeoutError as `write` does.
    """
    session.commit()
    turn: _Turn | None = session.info.get(_WRITER)
    if turn is None:
        yield
        return
    turn.__exit__()
    yield  # after an exception nothing is written, so there is no need to wait for another turn
    turn.__enter__()


def migrate(url: str) -> None:
    """Upgrade the database to the newest schema. Processes that start at the same time wait for the first.

    Raises SettingsError for a database that only allows reading, and for the schema of a newer version.
    """
    engine = _engine(url, connections=1)
    try:
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            if connection.dialect.name == "postgresql":
                _require_writable(connection)
                connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(72627001)"))
            if not _is_newest(connection):
                _upgrade(connection)
    finally:
        engine.dispose()


def _is_newest(connection: sa.Connection) -> bool:
    """Return whether the schema is current. Does not import Alembic, which most starts do not need.

    Raises SettingsError if it is newer.
    """
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    newest = max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]
    version = str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))
    if version > newest:
        raise SettingsError(
            f"a newer version of the server wrote this database (schema {version}, this version knows {newest}): "
            "install that version, or restore a backup"
        )
    return version == newest


def _require_writable(connection: sa.Connection) -> None:
    """Raises SettingsError for a standby, or a database that is set to read-only."""
    if connection.scalar(sa.text("SELECT current_setting('transaction_read_only')")) == "on":
        raise SettingsError(
            "the database only allows reading: SELFMEMORY_DATABASE_URL must lead to a primary server that takes writes"
        )


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - heavy, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def migrated(url: str, *, connections: int = 2, quota: Quota = UNLIMITED) -> Iterator[Database]:
    """Open the database, upgraded to the newest schema, and close it at the end."""
    migrate(url)
    database = Database(url, connections=connections, quota=quota)
    try:
        yield database
    finally:
        database.close()


def _engine(url: str, connections: int) -> sa.Engine:
    wait = waits.WAIT_SECONDS
    options: dict[str, object] = {"pool_size": connections, "max_overflow": 0, "pool_timeout": wait}
    if sa.make_url(url).get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True, **options)
        event.listen(engine, "connect", _on_connect_to_postgres)
        event.listen(engine, "begin", _on_begin_in_postgres)
        return engine
    path = sa.make_url(url).database
    if path:
        with suppress(OSError):  # opening the database reports the failure
            make_private(Path(path).parent)
    engine = sa.create_engine(
        url, poolclass=sa.QueuePool, hide_parameters=True, connect_args={"timeout": wait}, **options
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3: `_on_begin` sends BEGIN, not the driver
    cursor = connection.cursor()  # type: ignore[attr-defined]  # sqlite3
    for pragma in (*_PRAGMAS, f"busy_timeout={int(waits.WAIT_SECONDS * 1000)}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: sa.Connection) -> None:
    """Wait for the file only as long as the request may still wait.

    Otherwise, while another program holds the file, each writer in the line would wait for the full time in turn.
    """
    if not connection.get_execution_options().get(_WRITES):
        connection.connection.execute("BEGIN")  # touches no file, so it cannot fail
        return
    with waits.counted() as left:
        is_shorter = waits.WAIT_SECONDS - left > NOTABLE_SECONDS
        if is_shorter:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={int(left * 1000)}")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        finally:
            if is_shorter:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={int(waits.WAIT_SECONDS * 1000)}")


def _on_connect_to_postgres(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # psycopg
    cursor.execute(f"SET lock_timeout = {int(waits.WAIT_SECONDS * 1000)}")
    cursor.close()
    connection.commit()  # type: ignore[attr-defined]  # psycopg


def _on_begin_in_postgres(connection: sa.Connection) -> None:
    """Wait for each lock only as long as the request may still wait."""
    left = waits.left()
    if waits.WAIT_SECONDS - left > NOTABLE_SECONDS:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(int(left * 1000), 1)}")


def quota_of(session: Session) -> Quota:
    """Return what each project may hold."""
    quota: Quota = session.info.get(_QUOTA, UNLIMITED)
    return quota


def trash_days_of(session: Session) -> int:
    """Return how long a project that chooses nothing keeps deleted memories."""
    days: int = session.info.get(_TRASH_DAYS, TRASH_DAYS)
    return days


def is_sqlite(session: Session) -> bool:
    """Return whether the session uses SQLite; Postgres is the only other database."""
    return session.get_bind().dialect.name == "sqlite"


def id_subquery(session: Session, numbers: Iterable[int]) -> sa.Select[int]:
    """Return the numbers as a subquery with a single parameter, so that a statement takes any count of them."""
    return numbers_in(is_sqlite(session), sa.bindparam(None, as_json(numbers), sa.String, unique=True))


def as_json(numbers: Iterable[int | str]) -> str:
    """Return the value of a parameter for `numbers_in`."""
    return json.dumps(list(numbers))


def numbers_in(sqlite: bool, parameter: sa.BindParameter[str]) -> sa.Select[int]:
    """Return the numbers of a JSON parameter (see `as_json`) as a subquery."""
    if sqlite:
        return sa.select(sa.column("value", sa.BigInteger)).select_from(sa.func.json_each(parameter))
    return sa.select(sa.cast(sa.func.json_array_elements_text(sa.cast(parameter, sa.JSON)), sa.BigInteger))


def texts_in(sqlite: bool, parameter: sa.BindParameter[str]) -> sa.Select[str]:
    """Like `numbers_in`, for texts."""
    if sqlite:
        return sa.select(sa.column("value", sa.String)).select_from(sa.func.json_each(parameter))
    return sa.select(sa.func.json_array_elements_text(sa.cast(parameter, sa.JSON)))
