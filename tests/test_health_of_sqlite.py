"""What the health check says about a SQLite file that can be read and not written."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from server.settings import Settings
from server.storage.database import Database
from server.storage.sqlite import write_refusal
from tests.conftest import Tenant

pytestmark = pytest.mark.usefixtures("_fresh")


@pytest.fixture
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    monkeypatch.setattr("server.storage.sqlite.PROBE_SECONDS", 0.2)


@pytest.fixture
def other_program(settings: Settings, client: httpx.AsyncClient) -> Iterator[sqlite3.Connection]:
    """A database browser, for example, that has the same file open."""
    file = sa.make_url(settings.database_url.get_secret_value()).database
    assert file is not None
    assert Path(file).exists()
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


async def database_check(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.get("/health")
    check: dict[str, str] = answer.json()["checks"]["database"]
    return check


async def test_a_program_that_keeps_writers_out_degrades_the_database_until_it_lets_go(
    client: httpx.AsyncClient, alice: Tenant, other_program: sqlite3.Connection
) -> None:
    assert (await database_check(client))["status"] == "healthy"
    other_program.execute("BEGIN IMMEDIATE")
    held = await database_check(client)
    assert held["status"] == "degraded"
    assert "Another process holds the database" in held["problem"]
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.get("/api/memories", headers=alice.auth)).status_code == 200
    other_program.execute("ROLLBACK")
    healed = await database_check(client)
    assert healed["status"] == "healthy"
    assert "problem" not in healed


async def test_a_database_that_fails_no_longer_has_the_problem_that_it_had_before(
    client: httpx.AsyncClient, other_program: sqlite3.Connection, settings: Settings, tmp_path: Path
) -> None:
    other_program.execute("BEGIN IMMEDIATE")
    assert "problem" in await database_check(client)
    os.rename(settings.data_dir, tmp_path / "away")
    failed = await database_check(client)
    os.rename(tmp_path / "away", settings.data_dir)
    assert failed["status"] == "unhealthy"
    assert "problem" not in failed
    other_program.execute("ROLLBACK")


def test_a_file_that_is_read_only_refuses_writers(settings: Settings, other_program: sqlite3.Connection) -> None:
    """SQLite opens a file so if its mode or its owner forbids more, which is not so for root."""
    file = sa.make_url(settings.database_url.get_secret_value()).database
    with closing(Database(f"sqlite:///file:{file}?mode=ro&uri=true", connections=1)) as read_only:
        assert write_refusal(read_only.engine) == sqlite3.SQLITE_READONLY


async def test_a_program_that_commits_again_and_again_is_no_problem(
    client: httpx.AsyncClient, other_program: sqlite3.Connection
) -> None:
    stopping = threading.Event()

    def write() -> None:
        while not stopping.is_set():
            other_program.execute("BEGIN IMMEDIATE")
            other_program.execute("CREATE TABLE IF NOT EXISTS other (number INTEGER)")
            other_program.execute("INSERT INTO other VALUES (1)")
            stopping.wait(0.05)
            other_program.execute("COMMIT")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert {(await database_check(client))["status"] for _ in range(5)} == {"healthy"}
    finally:
        stopping.set()
        writer.join()


@pytest.fixture
def disk() -> Iterator[tuple[threading.Event, threading.Event]]:
    """A disk that is slow at the text of a memory: the first event says so, the second ends it."""
    reached, quick = threading.Event(), threading.Event()

    def wait(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO memories"):
            reached.set()
            quick.wait()

    event.listen(sa.Engine, "before_cursor_execute", wait)
    yield reached, quick
    event.remove(sa.Engine, "before_cursor_execute", wait)


async def test_a_slow_write_of_the_server_is_no_other_process(
    client: httpx.AsyncClient, alice: Tenant, disk: tuple[threading.Event, threading.Event]
) -> None:
    reached, quick = disk
    body = {"messages": [{"role": "user", "content": "Slowly written."}]}
    async with anyio.create_task_group() as group:
        group.start_soon(partial(client.post, "/api/memories", json=body, headers=alice.auth))
        await anyio.to_thread.run_sync(reached.wait)
        slow = await database_check(client)
        quick.set()
    assert slow["status"] == "degraded"
    assert slow["problem"].startswith("A write takes long")
    assert (await database_check(client))["status"] == "healthy"


async def test_a_write_that_waits_for_another_process_is_not_called_slow(
    client: httpx.AsyncClient, alice: Tenant, other_program: sqlite3.Connection
) -> None:
    other_program.execute("BEGIN IMMEDIATE")
    body = {"messages": [{"role": "user", "content": "Written later."}]}
    async with anyio.create_task_group() as group:
        group.start_soon(partial(client.post, "/api/memories", json=body, headers=alice.auth))
        held = [await database_check(client) for _ in range(3)]
        other_program.execute("ROLLBACK")
    assert {check["problem"].partition(" holds")[0] for check in held} == {"Another process"}
