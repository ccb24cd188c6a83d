"""Postgres, a Chroma server and Redis that a test may kill, pause and restart, each on its own port."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session

from server.index.upkeep import leases
from tests.support import postgres

DURABLE = ("fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1", "unix_socket_directories=")
"""Committed data survives a kill of Postgres, but not a power failure."""


@dataclass
class Service:
    """A program that is ready once it prints the text `ready`. It keeps its port and its folder across restarts."""

    command: list[str]
    ready: str
    folder: Path
    user: str | None = None
    _process: subprocess.Popen[str] | None = field(default=None, init=False)
    _reader: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            user=self.user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        # Do not poll by connecting: a socket that retries a closed local port may connect to itself.
        assert any(self.ready in line for line in process.stdout), f"{self.command[0]} did not start"
        self._process = process
        self._reader = threading.Thread(target=process.stdout.read)  # a full pipe would block it
        self._reader.start()

    def kill(self) -> None:
        """Kill the program and its children, as if the machine had lost power."""
        if self._process is None or self._reader is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Make the program accept connections but never answer, until the block ends."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        for process in (pid, *map(int, children)):  # Postgres' children are in their own process groups
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


@dataclass
class Stack:
    """The three services, and the settings that name them."""

    postgres: Service
    chroma: Service
    redis: Service
    settings: dict[str, str]

    def owners(self) -> set[int]:
        """Return the processes that own the index now, and 0 if a part of it has no owner."""
        engine = sa.create_engine(self.settings["DATABASE_URL"], poolclass=sa.NullPool)
        with Session(engine) as session:
            return {int(name.split(":")[1]) if name else 0 for name in leases.owners(session)}


@contextlib.contextmanager
def running_stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="stack-", dir=postgres.fast_folder()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        ports = [str(postgres.free_port()) for _ in range(3)]
        for service in ("postgres", "chroma", "redis"):
            (folder / service).mkdir()
        stack = Stack(
            _postgres(folder / "postgres", ports[0]),
            _chroma(folder / "chroma", ports[1]),
            _redis(folder / "redis", ports[2]),
            {
                "DATABASE_URL": f"postgresql+psycopg://postgres@127.0.0.1:{ports[0]}/postgres",
                "CHROMA_URL": f"http://127.0.0.1:{ports[1]}",
                "REDIS_URL": f"redis://127.0.0.1:{ports[2]}/0",
            },
        )
        services = (stack.postgres, stack.chroma, stack.redis)
        try:
            for running in services:
                running.start()
            yield stack
        finally:
            for running in services:
                running.kill()


def _postgres(folder: Path, port: str) -> Service:
    programs = postgres.find_programs()
    assert programs is not None
    data = postgres.new_cluster(programs, folder)
    options = [part for option in (*DURABLE, f"port={port}") for part in ("-c", option)]
    command = [str(programs / "postgres"), "-D", str(data), *options]
    return Service(command, "ready to accept connections", folder, postgres.USER)


def _chroma(folder: Path, port: str) -> Service:
    program = Path(sys.executable).with_name("chroma")
    command = [str(program), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", port]
    return Service(command, "server listening", folder)


def _redis(folder: Path, port: str) -> Service:
    command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", str(folder)]
    return Service(command, "Ready to accept connections", folder)
