"""Faults of a machine, of a service and of those who run the server: requests are answered, and nothing is lost."""

import asyncio
import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from starlette.types import ASGIApp

from server.app import create_app
from server.errors import MaybeStored
from server.logs import TextFormatter
from server.models import IndexTask, Memory, metadata
from server.models.base import Utc
from server.settings import Settings
from server.storage.database import Database
from server.storage.writer_lock import WriterLock
from tests.conftest import ORIGIN, Tenant
from tests.support.fakes import WordEmbedder
from tests.support.served import listening, served, url_of
from tests.support.started import running

IDLE = 1_000
AHEAD = timedelta(hours=2)


def new_app(settings: Settings) -> ASGIApp:
    return create_app(settings, lambda _settings: WordEmbedder())


def asking(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)


async def add(client: httpx.AsyncClient, tenant: Tenant, text: str) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}]}
    return await client.post("/api/memories", json=body, headers=tenant.auth)


async def search(client: httpx.AsyncClient, tenant: Tenant, query: str) -> list[str]:
    answer = await client.post("/api/memories/search", json={"query": query}, headers=tenant.auth)
    assert answer.status_code == 200, answer.text
    return [found["content"] for found in answer.json()["results"]]


def move_all_times(database: Database, by: timedelta) -> None:
    """Change each time in each table, as if the clock had been wrong by this when the rows were written."""
    with database.write() as session:
        for table in metadata.sorted_tables:
            times = [column for column in table.c if isinstance(column.type, Utc)]
            keys = list(table.primary_key)
            for row in session.execute(sa.select(*keys, *times)).mappings().all() if times else []:
                moved = {column.name: row[column.name] + by for column in times if row[column.name] is not None}
                here = [key == row[key.name] for key in keys]
                if moved:
                    session.execute(sa.update(table).where(*here).values(moved))


async def test_after_the_clock_was_set_back_everything_goes_on(
    settings: Settings, database: Database, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shell.amounts.KEEP_SECONDS", 0.0)
    with_chroma = settings.model_copy(update={"exact_scan_limit": 0})
    async with running(new_app(with_chroma)) as app, asking(app) as client:
        assert (await add(client, alice, "The ferry leaves at noon.")).status_code == 200
    with database.write() as session:
        memory = session.scalars(sa.select(Memory)).one()
        task = IndexTask(project_id=memory.project_id, memory_number=memory.number, piece_count=memory.piece_count)
        session.add(task)
    move_all_times(database, AHEAD)
    async with running(new_app(with_chroma)) as app, asking(app) as client:
        later = (await add(client, alice, "The ferry leaves at one.")).json()["memory_id"]
        assert len(await search(client, alice, "ferry")) == 2
        assert (await client.get("/api/memories", headers=alice.auth)).json()["total"] == 2
        assert (await client.delete(f"/api/memories/{later}", headers=alice.auth)).status_code == 200
        async with asyncio.timeout(20):
            shown = ""
            while "selfmemory_index_pending 0.0\n" not in shown:
                shown = (await client.get("/metrics")).text
        assert await search(client, alice, "ferry") == ["The ferry leaves at noon."]


async def test_after_the_clock_was_days_ahead_a_filter_by_time_finds_what_is_new(
    settings: Settings, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time_ns
    async with running(new_app(settings)) as app, asking(app) as client:
        with monkeypatch.context() as ahead:
            ahead.setattr("server.models.base.time.time_ns", lambda: real() + 3 * 86_400 * 10**9)
            assert (await add(client, alice, "The ferry is late.")).status_code == 200
        assert (await add(client, alice, "The ferry is early.")).status_code == 200
        asked = {"query": "ferry", "temporal_filter": "today"}
        answer = await client.post("/api/memories/search", json=asked, headers=alice.auth)
        assert "The ferry is early." in [found["content"] for found in answer.json()["results"]]


async def test_a_kernel_that_does_not_say_how_much_memory_is_left_is_no_problem(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:        8000 kB\nMemFree:          100 kB\n")
    monkeypatch.setattr("server.shell.health.MEMORY_FILE", tmp_path / "meminfo")
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["checks"]["memory"]["status"]) == (200, "healthy")


@pytest.mark.sqlite_only
async def test_a_write_waits_for_its_turn_even_if_no_thread_can_start(
    settings: Settings, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "writer-lock":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    lock = Path(f"{sa.make_url(settings.database_url.get_secret_value()).database}.lock")
    async with running(new_app(settings)) as app, asking(app) as client:
        assert (await add(client, alice, "The ferry is early.")).status_code == 200
        with contextlib.closing(WriterLock(lock)) as of_another_process:
            assert of_another_process.acquire(5)
            waiting = asyncio.create_task(add(client, alice, "The ferry is late."))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        assert (await waiting).status_code == 200


@pytest.mark.sqlite_only
async def test_what_the_disk_does_not_confirm_may_be_stored(
    settings: Settings, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in SQLite's log, so it comes back if the process is killed before another write replaces it there."""
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC

    def fail(_dialect: object, connection: sqlite3.Connection) -> None:
        """Fail as SQLite does, if the transaction stores the memory."""
        if connection.execute("SELECT 1 FROM memories").fetchone() is None:
            connection.commit()
            return
        connection.rollback()
        raise failure

    async with running(new_app(settings)) as app, asking(app) as client:
        with monkeypatch.context() as broken:
            broken.setattr("sqlalchemy.engine.default.DefaultDialect.do_commit", fail)
            answer = await add(client, alice, "The ferry is early.")
        assert (answer.status_code, answer.json()["detail"]) == (503, MaybeStored.sentence)
        assert (await add(client, alice, "The ferry is late.")).status_code == 200


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Listen on loopback, and answer whatever is asked with this. Yields the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("answer", [b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"", b"-LOADING Redis is loading\r\n"])
async def test_a_redis_that_gives_no_answer_of_redis_is_as_good_as_away(
    settings: Settings, alice: Tenant, answer: bytes
) -> None:
    with answering(answer) as address:
        limited = {"rate_limit_enabled": True, "rate_limit_memory_add": "2/day"}
        chosen = settings.model_copy(update={"redis_url": SecretStr(f"redis://{address}/0"), **limited})
        async with running(new_app(chosen)) as app, asking(app) as client:
            statuses = [(await add(client, alice, f"note {number}")).status_code for number in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.sqlite_only
async def test_idle_and_slow_clients_keep_nobody_waiting(app: ASGIApp, alice: Tenant) -> None:
    """Every other connection sends a part of a request and then nothing."""
    listener = listening()
    async with served(app, listener) as url, httpx.AsyncClient(base_url=url) as client:
        host, port = "127.0.0.1", int(url_of(listener).rpartition(":")[2])
        opened = [await asyncio.open_connection(host, port) for _ in range(IDLE)]
        for _, writer in opened[::2]:
            writer.write(b"POST /api/memories HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\nX-Slow: ")
        began = time.monotonic()
        assert (await add(client, alice, "The ferry leaves at noon.")).status_code == 200
        assert await search(client, alice, "ferry") == ["The ferry leaves at noon."]
        assert time.monotonic() - began < 5
        for _, writer in opened:
            writer.close()


async def test_with_another_secret_key_memories_and_keys_still_work(settings: Settings, alice: Tenant) -> None:
    """Only what the key sealed is lost, such as authenticator apps; docs/operations.md lists it."""
    for number, secret in enumerate(("first " * 8, "other " * 8)):
        chosen = settings.model_copy(update={"secret_key": SecretStr(secret)})
        async with running(new_app(chosen)) as app, asking(app) as client:
            assert (await add(client, alice, f"Ferry number {number}")).status_code == 200
            assert len(await search(client, alice, "ferry")) == number + 1
            assert (await client.get("/health")).json()["status"] == "healthy"


@pytest.mark.sqlite_only
async def test_a_database_out_of_reach_is_one_line_in_the_log_that_says_what_to_do(
    app: ASGIApp, alice: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Database("postgresql+psycopg://nobody:hunter2@127.0.0.1:1/nothing", connections=1)
    paths = ("/api/memories", "/mcp", "/oauth/token", "/dashboard")
    async with asking(app) as client:
        for name, begin in (("read", Database.read), ("write", Database.write)):
            monkeypatch.setattr(Database, name, lambda _self, begin=begin: begin(gone))
        await client.get(paths[0], headers=alice.auth)
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_memories", "arguments": {}}}
        await client.post(paths[1], json=call, headers={**alice.auth, "Accept": "application/json, text/event-stream"})
        form = {"grant_type": "refresh_token", "refresh_token": "sm_rt_x", "client_id": "client_x"}
        await client.post(paths[2], data=form)
        await client.get(paths[3], headers={"Cookie": "session=sm_se_" + "x" * 40, "Accept": "text/html"})
    told = [record for record in caplog.records if record.getMessage() == "unavailable"]
    assert len(told) >= 3
    for record in told:
        line = TextFormatter().format(record)
        assert "the database is not usable: check SELFMEMORY_DATABASE_URL, and that it runs" in line
        assert "127.0.0.1" in line
        assert "\n" not in line
        assert "hunter2" not in line
    gone.close()
