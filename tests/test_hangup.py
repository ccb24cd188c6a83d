"""SIGHUP, which a process gets when its terminal is closed."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import started, workers_of


@pytest.fixture
def handle_hangup() -> Iterator[Callable[[signal.Handlers], object]]:
    """Set how this process handles SIGHUP until the end of the test; child processes inherit it."""
    before = signal.getsignal(signal.SIGHUP)
    yield partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_closed_terminal_stops_the_server_cleanly(
    tmp_path: Path, workers: str, handle_hangup: Callable[[signal.Handlers], object]
) -> None:
    handle_hangup(signal.SIG_DFL)  # the tests themselves may run under nohup
    with started(tmp_path, "--workers", workers) as server:
        children = workers_of(server)
        for child in children:
            os.kill(child, signal.SIGHUP)  # a terminal sends it to all of them
        for _ in range(20):
            assert httpx.get(f"{server.url}/health/live").status_code == 200
        assert workers_of(server) == children  # so that they finish what they do
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(30) == 0
    assert server.log[-1].endswith(" stopped\n")
    assert not any("worker ended" in line or "Traceback" in line for line in server.log)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_nohup_started_stays_when_its_terminal_is_closed(
    tmp_path: Path, workers: str, handle_hangup: Callable[[signal.Handlers], object]
) -> None:
    handle_hangup(signal.SIG_IGN)  # as nohup does
    with started(tmp_path, "--workers", workers) as server:
        for pid in (*workers_of(server), server.process.pid):
            os.kill(pid, signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(2)
        assert server.stop() == 0
