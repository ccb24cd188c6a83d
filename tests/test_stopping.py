"""SIGTERM at any moment. A process that leaves it to the system is not stopped by it as process 1 of a container."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server_process import environment, run
from tests.support.world import eventually


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "server", *arguments]
    with subprocess.Popen(
        command, env=environment(folder), cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_handled(process: subprocess.Popen[str]) -> None:
    """Return when the process has its own answer to SIGTERM, and no longer leaves it to the system."""
    status, bit = Path(f"/proc/{process.pid}/status"), 1 << signal.SIGTERM - 1
    eventually(lambda: bool(int(status.read_text("ascii").partition("SigCgt:")[2].split()[0], 16) & bit))


def test_a_server_that_is_still_starting_stops_cleanly(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as process:
        wait_until_handled(process)
        assert not (tmp_path / "data" / "server.lock").exists()  # most of the start is still to come
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_server_that_loads_its_program_stops_cleanly(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as process:
        eventually((tmp_path / "data" / "server.lock").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_command_that_is_stopped_exits_as_shells_expect(tmp_path: Path) -> None:
    key = run(tmp_path, "create-key", "--email", "ann@example.com")
    project = key.stderr.partition("(")[2].partition(")")[0]
    with running(tmp_path, "import", "--project", project) as process:
        wait_until_handled(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
