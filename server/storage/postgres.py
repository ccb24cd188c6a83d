"""How the server talks to Postgres: time limits, what a pooler allows, and which failures are outages."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

from server import waits
from server.settings import SettingsError
from server.waits import NOTABLE_SECONDS, WRITES

STATEMENT_SECONDS = 600
"""A statement of a request may take this long."""

IDLE_SECONDS = 60
"""A transaction may wait this long for its next statement, so that a process that hangs does not keep its locks."""

CONNECT_ARGUMENTS: dict[str, str | int] = {
    "application_name": "selfmemory",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Arguments of each connection. Parameters in the URL take precedence.

The connection is in UTF-8, also if PGCLIENTENCODING names another encoding. The client notices within half a minute
that the server has vanished.
"""

SERVER_SIDE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""Settings that make the server notice that a client has vanished, and free its locks."""

LOST = ("08", "57P0")
"""SQLSTATEs of a connection that ended. An error has no SQLSTATE if the client noticed the end by itself."""

READ_ONLY = "25006"
"""The SQLSTATE of a write that a standby or a database that is set to read-only refuses."""

OUTAGES = ("08", READ_ONLY, "25P03", "42P01", "53", "57", "58")
"""SQLSTATEs of failures that a caller cannot have caused and may try again. Our tables are missing (42P01) only while
somebody restores the database.
"""

LOSSES = ("40001", "40P01")
"""SQLSTATEs of a conflict with another transaction: a serialization failure, and a deadlock."""

LOCK_POLL_SECONDS = 0.1

_POOLED = "pooled"
_COMMITS = "commits"


class CommitUnknown(sa.exc.OperationalError):
    """The connection ended, or the disk failed, during COMMIT: the transaction may be stored."""


def listen(engine: sa.Engine, statement_seconds: int) -> None:
    """Give each connection its time limits, and translate its failures. `statement_seconds` 0 means no limit."""
    limits = {
        "statement_timeout": f"{statement_seconds * 1000}",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS * 1000}",
    }

    def on_connect(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[_POOLED] = _is_pooled(connection)
        if record.info[_POOLED]:
            connection.prepare_threshold = None  # the next transaction may run in another session
        else:
            limits_of_session = {**_lock_timeout(waits.WAIT_SECONDS), **limits, **SERVER_SIDE}
            connection.cursor().execute(_set(limits_of_session, is_local=False))
        connection.commit()

    def on_begin(connection: sa.Connection) -> None:
        connection.info[_COMMITS] = False
        left = waits.seconds_left()
        if connection.info[_POOLED]:
            connection.exec_driver_sql(_set({**_lock_timeout(left), **limits}, is_local=True))
        elif waits.WAIT_SECONDS - left > NOTABLE_SECONDS:
            connection.exec_driver_sql(_set(_lock_timeout(left), is_local=True))

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    event.listen(engine, "commit", _on_commit)
    event.listen(engine, "handle_error", _on_error)


def remove_time_limits(engine: sa.Engine) -> None:
    """Let a migration's transactions wait as long as necessary, for locks and for the process that does the work."""
    without_limits = _set({"lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}, is_local=True)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(without_limits))


@contextmanager
def locked(engine: sa.Engine, number: int) -> Iterator[sa.Connection]:
    """Open a transaction that holds the advisory lock. Raises SettingsError if the database is read-only, or cannot
    store every letter.

    A statement that waits for the lock would keep a snapshot, and a process that builds an index while it holds the
    lock would wait for that snapshot. So the lock is asked for again and again.
    """
    lock = sa.select(sa.func.pg_try_advisory_xact_lock(number))
    while True:
        with engine.begin() as connection:
            _require_writable(connection)
            _require_every_letter(connection)
            if connection.scalar(lock):
                yield connection
                return
        time.sleep(LOCK_POLL_SECONDS)


def drop_snapshot(connection: sa.Connection) -> None:
    """Let go of the snapshot that the last SELECT keeps until the next statement. Building an index waits for it."""
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")


def _require_writable(connection: sa.Connection) -> None:
    """Raises SettingsError for a standby, or a database that is set to read-only."""
    if connection.scalar(sa.text("SELECT current_setting('transaction_read_only')")) == "on":
        raise SettingsError(
            "the database is read-only: SELFMEMORY_DATABASE_URL must lead to a primary server that accepts writes"
        )


def _require_every_letter(connection: sa.Connection) -> None:
    """Raises SettingsError for a database with an encoding other than UTF-8."""
    encoding = connection.scalar(sa.text("SELECT current_setting('server_encoding')"))
    if encoding != "UTF8":
        raise SettingsError(
            f"the database has the encoding {encoding}, which lacks most letters: create another one in Postgres with "
            "CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
        )


def connect_arguments(url: sa.URL) -> dict[str, str | int]:
    """Return the connection arguments that `url` does not set."""
    return {name: value for name, value in CONNECT_ARGUMENTS.items() if name not in url.query}


def is_pooled(connection: sa.Connection) -> bool:
    """Return whether we talk to a pooler, which may run each transaction in a different session of the server."""
    return bool(connection.info.get(_POOLED))


def is_read_only(engine: sa.Engine) -> bool:
    """Return whether the database refuses writes. A session of which this is true is not used again."""
    with engine.connect() as connection:
        refuses = bool(connection.scalar(sa.text("SELECT current_setting('transaction_read_only') = 'on'")))
        if refuses:
            connection.invalidate()
        return refuses


def lost_to_others(error: sa.exc.OperationalError) -> bool:
    """Return whether the transaction was rolled back because of another one, so that a retry may succeed."""
    return getattr(error.orig, "sqlstate", None) in LOSSES


def _is_pooled(connection: DBAPIConnection) -> bool:
    """Compare the session's real process id with the one that the client received when it connected. A pooler invents
    the latter.
    """
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    return bool(cursor.fetchone() != (connection.info.backend_pid,))


def _lock_timeout(seconds: float) -> dict[str, str]:
    return {"lock_timeout": f"{max(int(seconds * 1000), 1)}"}


def _set(values: Mapping[str, str], *, is_local: bool) -> str:
    """Return one statement that sets all values, for the transaction or for the session."""
    calls = (f"set_config('{name}', '{value}', {str(is_local).lower()})" for name, value in values.items())
    return f"SELECT {', '.join(calls)}"


def _on_commit(connection: sa.Connection) -> None:
    connection.info[_COMMITS] = bool(connection.get_execution_options().get(WRITES))


def _on_error(context: ExceptionContext) -> sa.exc.OperationalError | None:
    """Return a better exception to raise, if there is one: each outage becomes an OperationalError."""
    error, translated = context.original_exception, context.sqlalchemy_exception
    if translated is None:
        return None
    state = getattr(error, "sqlstate", None) or ""
    if state == READ_ONLY:  # the session may stay so when the database accepts writes again
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False
    is_lost = not state or state.startswith(LOST)
    if is_lost and context.statement is None and context.connection and context.connection.info.get(_COMMITS):
        return CommitUnknown("COMMIT", None, error, hide_parameters=True)
    is_outage = state.startswith(OUTAGES) or (not state and context.is_disconnect)
    if not is_outage or isinstance(translated, sa.exc.OperationalError):
        return None
    return sa.exc.OperationalError(context.statement, None, error, hide_parameters=True)
