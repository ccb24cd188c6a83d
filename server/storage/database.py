"""The SQL database, SQLite (WAL) or Postgres: its engine, read and write transactions, and migrations at start."""

import copy
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlmodel import Session, SQLModel

from server import waits
from server.quotas import TRASH_DAYS, UNLIMITED, Quota
from server.settings import SettingsError, make_private
from server.storage import postgres, sqlite
from server.storage.writer_lock import Turn, lock_for
from server.waits import WRITES

log = logging.getLogger(__name__)

MIGRATION_LOCK = 72_627_001
"""The number of the advisory lock of Postgres that a process holds while it migrates."""

MIGRATIONS = Path(__file__).parent.parent / "migrations"
_TURN = "turn"
_COMMITTED = "committed"
_QUOTA = "quota"
_TRASH_DAYS = "trash_days"
ATTEMPTS = 3
"""How many times to try a transaction that fails because of others: in a deadlock or a serialization conflict."""

_SNAPSHOT = "REPEATABLE READ"

T = TypeVar("T")


class Database:
    """One engine. SQLite allows one writer at a time, so the writers of all processes queue at a lock.

    Every session carries `quota` and `trash_days`, so that no door can forget them. On Postgres, no statement may take
    longer than `statement_seconds` (0: no limit).
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int,
        quota: Quota = UNLIMITED,
        trash_days: int = TRASH_DAYS,
        statement_seconds: int = 0,
    ) -> None:
        self._info = {_QUOTA: quota, _TRASH_DAYS: trash_days}
        self.engine = _engine(url, connections, statement_seconds)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._writing = self.engine.execution_options(**{WRITES: True})
        self._reading = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level=_SNAPSHOT)
        self._writer = lock_for(self.engine)
        self._guard: Callable[[Session], None] | None = None
        self.unguarded = self

    def guarded(self, guard: Callable[[Session], None]) -> "Database":
        """Return this database for a user who may lose the right to write: `guard` starts each write, and may raise."""
        guarded = copy.copy(self)
        guarded._guard = guard
        return guarded

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Begin a transaction that only reads: one snapshot, which never waits for a writer.

        The session joins the transaction only when it runs a statement itself; a `statements.Query` does not need it
        to.
        """
        with self._reading.begin() as connection, Session(connection, expire_on_commit=False) as session:
            session.info.update(self._info)
            yield session

    @contextmanager
    def write(self, *, reads_first: bool = False) -> Iterator[Session]:
        """Begin a transaction that may write. Commits at the end; any exception rolls back.

        With `reads_first` it only reads until it is paused, and on SQLite it does not wait for its turn to write before
        that. On Postgres, there is no turn to wait for.
        """
        reads_first = reads_first and self.is_sqlite
        turn = Turn(self._writer, self._writing)
        try:
            if not reads_first:
                turn.take()
            with Session(self._reading if reads_first else self._writing, expire_on_commit=False) as session:
                session.info[_TURN] = turn
                session.info.update(self._info)
                if self._guard is not None:
                    self._guard(session)
                yield session
                session.commit()
        finally:
            turn.give_up()

    @property
    def is_writing(self) -> bool:
        """Return whether this process holds SQLite's file for a write."""
        return self._writer is not None and self._writer.is_writing

    def close(self) -> None:
        self.engine.dispose()
        if self._writer is not None:
            self._writer.close()


@contextmanager
def paused(session: Session) -> Iterator[None]:
    """Commit the transaction while something slow runs, so that no writer waits. The next statement begins a new one.

    Use it before an operation's first write. Rows that were read before may have changed afterwards. At the end of the
    block, it waits for the right to write again, and raises TimeoutError like `write`.
    """
    session.commit()
    turn: Turn | None = session.info.get(_TURN)
    if turn is None:
        yield
        return
    turn.give_up()
    yield  # nothing is written after an exception, so there is no need to wait for the right to write
    turn.take()
    session.bind = turn.engine


def transact(transaction: Callable[[], AbstractContextManager[Session]], work: Callable[[Session], T]) -> T:
    """Run `work` in a transaction and return its result. A transaction that loses to others is rolled back and tried
    again, unless `work` has already committed part of it. Raises the error of the last attempt.
    """
    for _ in range(ATTEMPTS - 1):
        session = None
        try:
            with transaction() as session:
                return work(session)
        except sa.exc.OperationalError as error:
            if not postgres.lost_to_others(error) or session is None or session.info.get(_COMMITTED):
                raise
    with transaction() as session:
        return work(session)


@event.listens_for(Session, "after_commit")
def _note_commit(session: Session) -> None:
    session.info[_COMMITTED] = True


def migrate(url: str) -> None:
    """Upgrade the database to the newest schema. Processes that start at the same time wait for the first.

    Raises SettingsError if the database is read-only, or if a newer version of this server created its schema.
    """
    engine = _engine(url, connections=2)
    if engine.dialect.name == "sqlite":
        sqlite.turn_off_foreign_keys(engine)
    else:
        postgres.remove_time_limits(engine)
    writer = lock_for(engine)
    turn = Turn(writer, engine)
    try:
        turn.take()
        with _turn_to_migrate(engine.execution_options(**{WRITES: True})) as connection:
            schema = _schema_of(connection)
            if schema != newest_schema():
                if schema is not None:
                    log.info("upgrading the database", extra={"schema": schema, "to": newest_schema()})
                _upgrade(engine, connection)
    finally:
        turn.give_up()
        engine.dispose()
        if writer is not None:
            writer.close()


def _turn_to_migrate(engine: sa.Engine) -> AbstractContextManager[sa.Connection]:
    return engine.begin() if engine.dialect.name == "sqlite" else postgres.locked(engine, MIGRATION_LOCK)


def _schema_of(connection: sa.Connection) -> str | None:
    """Return the schema, or None if there is none yet, without importing Alembic. Raises SettingsError if it is newer
    than this version of the server.
    """
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))
    require_known_schema(version, "this database", "restore a backup")
    return version


def newest_schema() -> str:
    """Return the schema that this version of the server expects."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def require_known_schema(version: str, what: str, otherwise: str) -> None:
    """Raises SettingsError if a newer version of the server wrote `what`. `otherwise` ends the sentence."""
    if version > (newest := newest_schema()):
        raise SettingsError(
            f"a newer version of the server wrote {what} (schema {version}, this version knows {newest}): "
            f"install that version, or {otherwise}"
        )


def _upgrade(engine: sa.Engine, locked: sa.Connection) -> None:
    """Run the migrations: on SQLite in the transaction that holds the lock, on Postgres each in its own transaction.
    There, a migration may leave its transaction to build an index while others write.
    """
    from alembic import command  # noqa: PLC0415 - heavy, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    is_sqlite = engine.dialect.name == "sqlite"
    if not is_sqlite:
        postgres.drop_snapshot(locked)
    with nullcontext(locked) if is_sqlite else engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def migrated(url: str, *, connections: int = 2, quota: Quota = UNLIMITED) -> Iterator[Database]:
    """Open the database, upgraded to the newest schema, and close it at the end."""
    migrate(url)
    with closing(Database(url, connections=connections, quota=quota)) as database:
        yield database


def _engine(url: str, connections: int, statement_seconds: int = 0) -> sa.Engine:
    wait = waits.WAIT_SECONDS
    options: dict[str, object] = {"pool_size": connections, "max_overflow": 0, "pool_timeout": wait}
    options["pool_use_lifo"] = True  # the last used connection has the fullest caches
    if sa.make_url(url).get_backend_name() != "sqlite":
        arguments = postgres.connect_arguments(sa.make_url(url))
        engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=arguments, **options)
        postgres.listen(engine, statement_seconds)
        return engine
    if file := sqlite.file_of(url):
        path = Path(file.path)
        with suppress(OSError):  # opening the database reports the failure
            make_private(path.parent)
            sqlite.require_not_lost(path)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))  # SQLite would let every user read it
    engine = sa.create_engine(
        url, poolclass=sa.QueuePool, hide_parameters=True, connect_args={"timeout": wait}, **options
    )
    sqlite.listen(engine)
    return engine


def quota_of(session: Session) -> Quota:
    """Return how much each project may hold."""
    quota: Quota = session.info.get(_QUOTA, UNLIMITED)
    return quota


def trash_days_of(session: Session) -> int:
    """Return how long a project keeps deleted memories if it has no setting of its own."""
    days: int = session.info.get(_TRASH_DAYS, TRASH_DAYS)
    return days


def is_sqlite(session: Session) -> bool:
    """Return whether the session uses SQLite; Postgres is the only other database."""
    return session.get_bind().dialect.name == "sqlite"


def insert_for(sqlite: bool, table: type[SQLModel] | sa.TableClause) -> sqlite_dialect.Insert | postgresql.Insert:
    """Return an insert that may say what happens in a conflict."""
    return sqlite_dialect.insert(table) if sqlite else postgresql.insert(table)
