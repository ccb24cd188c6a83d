"""Runs `python -m server` in its own process, on a free port and without access to the network."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LISTENING = re.compile(r" listening address=(\S+)")

# Runs first in the process, and records and refuses every connection to another machine.
NETWORK_GUARD = """
import os, socket

def guard(name, position):
    real = getattr(socket.socket, name)
    def call(self, *arguments):
        address = arguments[position]
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            with open(os.environ["ATTEMPTS"], "a") as file:
                file.write(f"{address}\\n")
            raise OSError("the network is blocked")
        return real(self, *arguments)
    setattr(socket.socket, name, call)

guard("connect", 0)
guard("connect_ex", 0)
guard("sendto", -1)
"""


@dataclass
class ServerProcess:
    """A server that listens at `url`. `log` holds its log lines so far; `attempts` is the guard's record."""

    process: subprocess.Popen[str]
    url: str
    attempts: Path
    log: list[str] = field(default_factory=list)

    def stop(self) -> int:
        """Stop the server the way a process manager does, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return our environment without settings of the server and of Python's output, and with the data and home
    directories in `folder`.
    """
    for name in ("guard", "home"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "guard" / "sitecustomize.py").write_text(NETWORK_GUARD)
    foreign = ("SELFMEMORY_", "PYTHONUNBUFFERED")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    paths = {"PYTHONPATH": os.pathsep.join([str(folder / "guard"), str(ROOT)]), "ATTEMPTS": str(folder / "attempts")}
    chosen = {f"SELFMEMORY_{name}": value for name, value in settings.items()}
    defaults = {"SELFMEMORY_DATA_DIR": str(folder / "data"), "HOME": str(folder / "home")}
    return inherited | paths | defaults | chosen


@contextlib.contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[ServerProcess]:
    """Run a server until the end of the block, unless the block stops or kills it."""
    command = [sys.executable, "-m", "server", "--port", "0", *arguments]
    with subprocess.Popen(
        command, env=environment(folder, **settings), cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        log: list[str] = []
        listening = next((match for line in _recorded(process.stderr, log) if (match := LISTENING.search(line))), None)
        assert listening is not None, "".join(log)
        reader = threading.Thread(target=log.extend, args=[process.stderr])
        reader.start()
        try:
            yield ServerProcess(process, listening[1], folder / "attempts", log)
        finally:
            process.terminate()
            process.wait()
            reader.join()


def _recorded(lines: Iterator[str], log: list[str]) -> Iterator[str]:
    """Yield the lines and append them to the log."""
    for line in lines:
        log.append(line)
        yield line


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to completion."""
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(
        command, env=environment(folder, **settings), cwd=folder, capture_output=True, text=True, check=False
    )


def workers_of(server: ServerProcess) -> list[int]:
    """Return the running worker processes."""
    parent = server.process.pid
    children = [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def owner_of(folder: Path) -> int:
    """Return the worker that holds the index's lock, or 0 if none does."""
    file = (folder / "data" / "index.lock").stat().st_ino
    held = [line.split() for line in Path("/proc/locks").read_text("ascii").splitlines()]
    owners = (int(fields[4]) for fields in held if fields[1] == "FLOCK" and fields[5].endswith(f":{file}"))
    return next(owners, 0)
