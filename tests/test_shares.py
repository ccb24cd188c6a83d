"""Worker threads: their results, and how long work holds its slot."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest

from server.errors import Unavailable
from server.shell import amounts, last_use
from server.shell.amounts import AmountsReader
from server.shell.last_use import UseRecorder
from server.shell.shares import Threads
from server.storage.database import Database

SOON_SECONDS = 5
_asking: ContextVar[str] = ContextVar("asking", default="nobody")


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    threads = Threads("test", slots=1, share=1)
    yield threads
    threads.close()


async def test_work_has_the_context_of_its_request(threads: Threads) -> None:
    _asking.set("alice")
    assert await threads.run("alice", _asking.get) == "alice"
    assert threads.used == 0


async def test_a_failure_reaches_the_request(threads: Threads) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await threads.run("alice", lambda: 1 // 0)
    assert (threads.used, threads.waiting) == (0, 0)


async def test_the_work_of_a_cancelled_request_keeps_its_slot_until_it_ends(
    threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        may_end.wait(SOON_SECONDS)

    request = asyncio.create_task(threads.run("alice", work))
    await asyncio.to_thread(began.wait, SOON_SECONDS)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    monkeypatch.setattr("server.waits.WAIT_SECONDS", 0.05)
    with pytest.raises(Unavailable):
        await threads.run("bob", work)
    assert (threads.used, threads.waiting) == (1, 0)
    may_end.set()
    async with asyncio.timeout(SOON_SECONDS):
        while threads.used:  # noqa: ASYNC110 - the loop frees the slot
            await asyncio.sleep(0.01)


def refuse(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_work_that_was_refused_for_want_of_a_thread_never_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, ran = threading.Event(), threading.Event()
    threads = Threads("test", slots=2, share=1)
    busy = asyncio.create_task(threads.run("alice", may_end.wait, SOON_SECONDS))
    await asyncio.sleep(0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unavailable):
            await threads.run("bob", ran.set)
    may_end.set()
    assert await busy
    await threads.run("alice", int)  # after everything that was queued before it
    assert not ran.is_set()
    threads.close()


async def test_without_a_thread_what_can_wait_is_left_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        await UseRecorder().note(lambda: None)
        assert await AmountsReader(database).current() is None


async def test_a_failure_after_the_request_was_canceled_leaves_no_traceback(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    began, may_fail = threading.Event(), threading.Event()

    def fail() -> None:
        began.set()
        may_fail.wait(SOON_SECONDS)
        raise Unavailable

    request = asyncio.create_task(threads.run("alice", fail))
    await asyncio.to_thread(began.wait, SOON_SECONDS)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    may_fail.set()
    await threads.run("alice", lambda: None)  # begins when the slot is free
    gc.collect()
    assert caplog.messages == []


async def test_work_that_hangs_keeps_one_thread(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, running = threading.Event(), list[str]()

    def hang(*_session: object) -> None:
        running.append(threading.current_thread().name)
        may_end.wait(SOON_SECONDS)

    monkeypatch.setattr(amounts, "_amounts", hang)
    for name, seconds in {"KEEP_SECONDS": 0.0, "TIMEOUT_SECONDS": 0.05}.items():
        monkeypatch.setattr(amounts, name, seconds)
    for name, seconds in {"PAUSE_SECONDS": -1.0, "NOTE_USE_SECONDS": 0.05}.items():
        monkeypatch.setattr(last_use, name, seconds)
    reader, recorder = AmountsReader(database), UseRecorder()
    for _ in range(2):
        assert await reader.current() is None
        await recorder.note(hang)
    may_end.set()
    assert len(running) == 2
