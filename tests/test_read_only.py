"""A Postgres database that becomes read-only, as a standby is, and later accepts writes again."""

import contextlib
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa

from server.settings import Settings
from server.shell.health import READ_ONLY
from server.storage.database import Database
from server.storage.postgres import is_read_only
from tests.conftest import Tenant

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]


def set_read_only(database: Database, value: str) -> None:
    """Set what new sessions may do, "on" or "off"."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = sa.make_url(database.engine.url).database
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")


def end_sessions(database: Database) -> None:
    """End all sessions of others."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    with database.engine.connect() as connection:
        connection.exec_driver_sql(query + "pg_backend_pid()")


@pytest.fixture
def single(settings: Settings, database: Database) -> Iterator[Database]:
    """The same database with a single connection, which is made while it is read-only."""
    set_read_only(database, "on")
    with contextlib.closing(Database(settings.database_url.get_secret_value(), connections=1)) as single:
        yield single


def write(database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = version_num"))


async def test_a_standby_still_answers_reads(client: httpx.AsyncClient, alice: Tenant, database: Database) -> None:
    body = {"content": "a red canoe"}
    assert (await client.post("/api/memories", json=body, headers=alice.auth)).status_code == 200
    set_read_only(database, "on")
    end_sessions(database)
    answer = await client.post("/api/memories", json=body, headers=alice.auth)
    assert (answer.status_code, "is read-only" in answer.text) == (503, True)
    listed = await client.get("/api/memories", headers=alice.auth)
    assert (listed.status_code, listed.json()["total"]) == (200, 1)
    health = (await client.get("/health")).json()
    assert (health["status"], health["checks"]["database"]["problem"]) == ("degraded", READ_ONLY)


def test_a_session_that_refused_a_write_is_not_used_again(single: Database, database: Database) -> None:
    """A session keeps this setting when the database accepts writes again."""
    with pytest.raises(sa.exc.OperationalError):
        write(single)
    set_read_only(database, "off")
    write(single)


def test_a_session_that_was_found_read_only_is_not_used_again(single: Database, database: Database) -> None:
    assert is_read_only(single.engine)
    set_read_only(database, "off")
    assert not is_read_only(single.engine)
    write(single)
