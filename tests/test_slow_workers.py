"""Workers and their supervisor on a machine that has no time or no thread for them."""

import asyncio
import signal
import socket
import threading

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from server.commands import workers
from server.commands.bounded_server import BoundedServer
from server.commands.serving import config_of
from server.commands.worker_process import SharingServer
from server.commands.workers import LONGEST_PAUSE_SECONDS, SILENCE_SECONDS, Workers


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class NeverReady:
    """Stands for a process whose start takes too long."""

    pid = 1

    def __init__(self, *_args: object) -> None:
        self.exitcode: int | None = None

    def start(self) -> None:
        pass

    def is_ready(self, _seconds: float) -> bool:
        return False

    def kill(self) -> None:
        self.exitcode = -9

    def join(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(workers, "time", clock)
    return clock


@pytest.fixture
def supervisor(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setattr(workers, "WorkerProcess", NeverReady)
    monkeypatch.setattr("uvicorn.supervisors.multiprocess.SIGNALS", [])
    supervisor = Workers(uvicorn.Config("", workers=1, log_config=None), [], lambda: None)
    supervisor.processes = [supervisor._started(0)]
    return supervisor


def test_a_worker_that_starts_slowly_gets_more_time_at_each_try(clock: Clock, supervisor: Workers) -> None:
    lives = []
    for _ in range(3):
        process, born = supervisor.processes[0], clock.now
        while process.exitcode is None:
            clock.now += 1
            supervisor.keep_subprocess_alive()
        lives.append(clock.now - born)
        while supervisor.processes[0] is process:
            clock.now += 1
            supervisor.keep_subprocess_alive()
    assert lives == [SILENCE_SECONDS + 1, 2 * SILENCE_SECONDS + 1, 4 * SILENCE_SECONDS + 1]


def test_a_worker_that_ends_at_every_start_is_started_again_without_end(clock: Clock, supervisor: Workers) -> None:
    for _ in range(1100):  # half a day
        process = supervisor.processes[0]
        process.kill()
        supervisor.keep_subprocess_alive()
        clock.now += LONGEST_PAUSE_SECONDS
        supervisor.keep_subprocess_alive()
        assert supervisor.processes[0] is not process


def test_a_stop_is_obeyed_although_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    server = BoundedServer(uvicorn.Config("", log_config=None))
    server.handle_exit(signal.SIGTERM, None)
    assert server.should_exit


async def test_a_connection_that_is_accepted_last_does_not_delay_the_stop() -> None:
    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None: ...

    config = config_of(application)
    config.lifespan = "off"
    config.load()
    server = SharingServer(config, [0], 0)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup([listener])
        with socket.create_connection(listener.getsockname()):
            server._on_readable(listener)
            async with asyncio.timeout(2):
                await server.shutdown()
