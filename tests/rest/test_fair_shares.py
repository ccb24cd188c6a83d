"""No caller can use up what all callers need: threads, the model, the writer, memory."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col
from starlette.types import ASGIApp

from server.app import create_app
from server.index.types import Vectors
from server.models import Memory
from server.settings import Settings
from server.shell import last_use
from server.storage.database import Database
from server.web import wire
from tests.conftest import Tenant
from tests.rest.conftest import Caller, said
from tests.support.fakes import WordEmbedder
from tests.support.started import running

FLOOD = 40
JSON = {"Content-Type": "application/json"}
LARGE_BEGINNING = b'{"memories": [' + b" " * 150_000
SOON_SECONDS = 12  # less than the 15 after which a request that waits is refused


class WaitingEmbedder(WordEmbedder):
    """Texts with the word "flood" wait until the test ends."""

    def __init__(self) -> None:
        self.blocked = 0
        self.may_continue = threading.Event()

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        if any("flood" in text for text in texts):
            self.blocked += 1
            self.may_continue.wait(20)
        return super().embed(texts, is_question=is_question)

    def close(self) -> None:
        self.may_continue.set()


@pytest.fixture
def embedder() -> WaitingEmbedder:
    return WaitingEmbedder()


@pytest.fixture
async def app(settings: Settings, embedder: WaitingEmbedder) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: embedder)) as app:
        yield app


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Must come before the app, whose connections take the limit."""
    monkeypatch.setattr("server.waits.WAIT_SECONDS", 2.0)


@contextlib.asynccontextmanager
async def flooding(caller: Caller, embedder: WaitingEmbedder, path: str, body: object) -> AsyncIterator[None]:
    """Send the same request many times at once. The model answers none of them before the end."""
    tasks = [asyncio.create_task(caller.post(path, body)) for _ in range(FLOOD)]
    try:
        async with asyncio.timeout(SOON_SECONDS):
            while not embedder.blocked:  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        yield
    finally:
        embedder.may_continue.set()
        await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def held(database: Database) -> AsyncIterator[None]:
    """Hold the right to change the memories: SQLite's file, or the locks of their rows."""
    with database.write() as session:
        session.execute(sa.select(col(Memory.id)).with_for_update())
        yield


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/memories", said("a flood")),
        ("/api/memories/batch", {"memories": [said("a flood")] * 2}),
        ("/api/memories/search", {"query": "a flood"}),
    ],
)
async def test_a_caller_whose_requests_wait_for_the_model_stops_nobody(
    client: httpx.AsyncClient, api: Caller, stranger: Caller, embedder: WaitingEmbedder, path: str, body: object
) -> None:
    async with flooding(api, embedder, path, body), asyncio.timeout(SOON_SECONDS):
        assert (await client.get("/sign-in")).status_code == 200
        assert (await client.post("/oauth/token", data={"grant_type": "none"})).status_code in (400, 401)
        await stranger.add("I like tea.")
        assert await stranger.found("tea") == ["I like tea."]
        assert await stranger.listed() == ["I like tea."]


async def test_a_request_that_waits_too_long_gets_a_retry_after(
    api: Caller, embedder: WaitingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.waits.WAIT_SECONDS", 0.3)
    async with asyncio.timeout(SOON_SECONDS):
        tasks = [asyncio.create_task(api.post("/api/memories", said("a flood"))) for _ in range(FLOOD)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done, running_still = await asyncio.wait(tasks, timeout=2)
        embedder.may_continue.set()
        answers = [task.result() for task in done]
        assert answers
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        assert {task.status_code for task in await asyncio.gather(*running_still)} == {200}


@pytest.mark.usefixtures("impatient")
async def test_waits_for_slots_and_for_locks_share_one_budget(api: Caller, database: Database) -> None:
    """Each of the requests waits for a slot behind those that wait for a lock that is never free."""
    memory_ids = [await api.add(f"I like tea {number}.") for number in range(6)]
    clock = asyncio.get_running_loop().time
    async with held(database):
        began = clock()
        answers = await asyncio.gather(*(api.delete(f"/api/memories/{memory_id}") for memory_id in memory_ids))
        assert clock() - began < 3.9, "4 seconds are a wait for a slot and another for the lock"
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)


@contextlib.contextmanager
def held_by_a_process(database: Database) -> Iterator[None]:
    """Write in another process of the server, or in a command."""
    with database.write() as session:
        session.connection()
        yield


@contextlib.contextmanager
def held_by_a_tool(database: Database) -> Iterator[None]:
    """Lock the file as a program that an operator has open."""
    with contextlib.closing(sqlite3.connect(str(database.engine.url.database))) as tool:
        tool.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.sqlite_only
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("holding", [held_by_a_process, held_by_a_tool])
async def test_while_the_file_is_locked_no_writer_waits_longer_than_the_limit(
    api: Caller, database: Database, holding: Callable[[Database], contextlib.AbstractContextManager[None]]
) -> None:
    with holding(database):
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(api.post("/api/memories", said("I like tea.")) for _ in range(12)))
    assert {answer.status_code for answer in answers} == {503}
    assert (await api.post("/api/memories", said("I like tea."))).status_code == 200


@pytest.mark.sqlite_only
async def test_writers_of_several_processes_take_turns(api: Caller, database: Database) -> None:
    """Whoever waits is woken by the one before, in another process too."""
    with held_by_a_process(database):
        waiting = [asyncio.create_task(api.add(f"I like tea {number}.")) for number in range(4)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
    assert len(set(await asyncio.gather(*waiting))) == 4
    with database.write() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Memory)) == 4


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/memories", said("a flood")), ("/api/memories/batch", {"memories": [said("a flood")] * 2})],
)
async def test_an_addition_has_its_vectors_before_it_waits_for_its_turn_to_write(
    api: Caller, database: Database, embedder: WaitingEmbedder, path: str, body: object
) -> None:
    with held_by_a_process(database):
        adding = asyncio.create_task(api.post(path, body))
        async with asyncio.timeout(SOON_SECONDS):
            while not embedder.blocked:  # noqa: ASYNC110 - another thread counts
                await asyncio.sleep(0.01)
    embedder.may_continue.set()
    assert (await adding).status_code == 200


@pytest.mark.sqlite_only
async def test_a_request_that_a_stop_cuts_off_gets_a_retry_after(api: Caller, database: Database) -> None:
    """uvicorn cancels what still runs a few seconds after SIGTERM."""
    with held_by_a_process(database):
        waiting = asyncio.create_task(api.post("/api/memories", said("I like tea.")))
        await asyncio.sleep(0.1)
        waiting.cancel()
        answer = await waiting
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.sqlite_only
async def test_a_locked_database_does_not_slow_every_reader(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_use, "NOTE_USE_SECONDS", 1.0)
    with database.write() as session:
        session.connection()
        began = asyncio.get_running_loop().time()
        for _ in range(8):
            assert (await api.get("/api/memories")).status_code == 200
        assert asyncio.get_running_loop().time() - began < 5  # each alone: 1


@pytest.mark.sqlite_only
async def test_a_large_request_of_an_assistant_is_answered(client: httpx.AsyncClient, alice: Tenant) -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}' + b" " * 200_000
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    for credential, status in ((alice.auth, 200), ({"Authorization": "Bearer no"}, 401)):
        sent = headers | credential | JSON
        assert (await client.post("/mcp", content=body, headers=sent)).status_code == status


@pytest.mark.sqlite_only
async def test_few_large_bodies_of_a_caller_are_in_memory(
    api: Caller, stranger: Caller, embedder: WaitingEmbedder
) -> None:
    """Of the others, only the beginning is read before their turn."""
    begun = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal begun
        yield LARGE_BEGINNING
        begun += 1
        yield b'{"messages": [{"role": "user", "content": "a flood"}]}]}'

    headers = api.headers | JSON
    send = [api.client.post("/api/memories/batch", content=body(), headers=headers) for _ in range(FLOOD)]
    tasks = [asyncio.create_task(sending) for sending in send]
    async with asyncio.timeout(SOON_SECONDS):
        while not embedder.blocked:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.01)
        answer = await stranger.post("/api/memories/batch", {"memories": [said("I like tea.")]})
        assert answer.status_code == 200
    assert begun <= 4
    embedder.may_continue.set()
    assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}


@pytest.mark.sqlite_only
async def test_large_bodies_that_trickle_in_stop_no_small_ones(
    client: httpx.AsyncClient, stranger: Caller, make_tenant: Callable[[str], Tenant]
) -> None:
    """Also of clients that do not announce the length."""
    may_end = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield LARGE_BEGINNING
        await may_end.wait()
        yield b"]}"

    async def small(body: bytes) -> AsyncIterator[bytes]:
        yield body

    large = [
        asyncio.create_task(client.post("/api/memories/batch", content=trickle(), headers=tenant.auth | JSON))
        for tenant in [make_tenant(f"person{number}@example.com") for number in range(5)]
        for _ in range(3)
    ]
    await asyncio.sleep(0.5)
    listing = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
    async with asyncio.timeout(SOON_SECONDS):
        for path, body in (("/mcp", listing), ("/api/memories/batch", b'{"memories": [{"content": "Tea."}]}')):
            answer = await client.post(path, content=small(body), headers=stranger.headers | JSON)
            assert answer.status_code == 200, answer.text
    may_end.set()
    await asyncio.gather(*large)


@pytest.mark.sqlite_only
async def test_a_body_that_trickles_in_gives_its_slot_back(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.web.wire.BODY_SECONDS", 0.2)
    monkeypatch.setattr("server.web.wire.BODY_BYTES_PER_SECOND", 200 * wire.BODY_BYTES_PER_SECOND)

    async def trickle() -> AsyncIterator[bytes]:
        yield LARGE_BEGINNING
        for _ in range(30):
            await asyncio.sleep(0.05)
            yield b" "

    headers = api.headers | JSON
    async with asyncio.timeout(SOON_SECONDS):
        slow = [api.client.post("/api/memories/batch", content=trickle(), headers=headers) for _ in range(2)]
        assert {answer.status_code for answer in await asyncio.gather(*slow)} == {408}
        assert (await api.post("/api/memories/batch", {"memories": [said("I like tea.")]})).status_code == 200
