"""Pages are there for everybody while people upload and export large files, and say so when they cannot be."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial

import httpx
import pytest

from server.app import create_app
from server.dashboard import file_reading
from server.dashboard.views import exchange, memories, memory, memory_rows, trash, uploads
from server.domain.memory.exchange.entries import Entry
from server.domain.memory.exchange.sources import read_path
from server.errors import Unavailable
from server.settings import Settings
from server.shell.pools import Pools, new_pools
from server.shell.shares import Threads
from tests.conftest import Tenant
from tests.dashboard.test_exchange import line, upload
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.visitors import Visitor, seen

CROWD = 10
"""More people than there are threads for pages."""

SOON_SECONDS = 10


@pytest.fixture
def crowd(make_tenant: Callable[[str], Tenant], visit: Callable[[Tenant], Visitor]) -> list[Visitor]:
    return [visit(make_tenant(f"person{number}@example.com")) for number in range(CROWD)]


@pytest.fixture
def may_end() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def after(event: threading.Event, work: Callable[..., object], *args: object) -> object:
    event.wait(20)
    return work(*args)


@contextlib.asynccontextmanager
async def busy(requests: list[asyncio.Task[httpx.Response]], may_end: threading.Event) -> AsyncIterator[None]:
    """Yield while all requests are being answered."""
    try:
        await asyncio.sleep(0.5)
        assert not any(request.done() for request in requests)
        async with asyncio.timeout(SOON_SECONDS):
            yield
    finally:
        may_end.set()
        await asyncio.gather(*requests)


async def test_uploads_that_take_long_to_read_leave_threads_for_pages(
    client: httpx.AsyncClient,
    ann: Visitor,
    crowd: list[Visitor],
    may_end: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_reading, "read_path", lambda *_args, **_names: iter(lambda: may_end.wait(20), True))
    reading = [asyncio.create_task(upload(person, line("Tea."))) for person in crowd]
    async with busy(reading, may_end):
        assert (await client.get("/sign-in")).status_code == 200
        assert "Tea" not in await ann.see(f"{ann.project}/memories")


async def test_a_small_file_does_not_wait_for_large_ones(
    ann: Visitor,
    crowd: list[Visitor],
    may_end: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def endless(*_args: object, **_names: object) -> Iterator[Entry]:
        while not may_end.is_set():
            yield Entry("line 1", {"content": "Tea."})

    monkeypatch.setattr(file_reading, "read_path", endless)
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 60)
    reading = [asyncio.create_task(upload(person, line("Tea."))) for person in crowd]
    async with busy(reading, may_end):
        monkeypatch.setattr(file_reading, "read_path", read_path)
        uploaded = await upload(ann, line("Coffee."))
        assert "1 memory" in await ann.see(uploaded.headers["location"])


async def test_exports_that_take_long_leave_threads_for_pages(
    client: httpx.AsyncClient,
    crowd: list[Visitor],
    may_end: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "write_export", lambda *_args, **_names: int(not may_end.wait(20)))
    exports = [asyncio.create_task(person.get(f"{person.project}/export")) for person in crowd]
    async with busy(exports, may_end):
        assert (await client.get("/sign-in")).status_code == 200


async def test_texts_that_take_long_to_compare_and_to_cut_hold_up_no_other_page(
    client: httpx.AsyncClient, ann: Visitor, may_end: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = await ann.remember_all(["Tea.", "Coffee."])
    await ann.do(f"/dashboard/memories/{kept}/edit", {"text": "Green tea.", "version": "1"})
    await ann.do(f"/dashboard/memories/{gone}/delete")
    slow = ((memory_rows, "excerpt"), (trash, "excerpt"), (memories, "strengths_of"), (memory, "text_differences"))
    for module, name in slow:
        monkeypatch.setattr(module, name, partial(after, may_end, getattr(module, name)))
    pages = ("/memories", "/memories?q=tea", "/trash")
    paths = [*(f"{ann.project}{page}" for page in pages), f"/dashboard/memories/{kept}"]
    opened = [asyncio.create_task(ann.get(path)) for path in paths]
    async with busy(opened, may_end):
        assert (await client.get("/sign-in")).status_code == 200


class NoThreads(Threads):
    """All threads are taken, for longer than a request waits."""

    async def run(self, caller: str, work: Callable[..., object], *args: object) -> object:  # type: ignore[override]
        raise Unavailable


def without_page_threads() -> Pools:
    return replace(new_pools(), pages=NoThreads("pages", 1, 1))


@pytest.mark.parametrize("path", ["/sign-in", "/dashboard", "/oauth/authorize"])
async def test_a_page_without_a_thread_says_so(settings: Settings, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.app.new_pools", without_page_threads)
    async with (
        running(create_app(settings, lambda _settings: WordEmbedder())) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8081") as client,
    ):
        answer = await client.get(path, follow_redirects=True, headers={"Accept": "text/html"})
    expected = 400 if path.startswith("/oauth") else 503
    assert (answer.status_code, "<html" in answer.text) == (expected, True)
    assert ("cannot do this now" in seen(answer)) is (expected == 503)
