"""A server with several workers and its services, and what may happen to each of them."""

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.scaled import Service, Stack
from tests.support.server_process import ServerProcess, run, started, workers_of

UNLIMITED = "1000000/minute"
LIMITS = {f"RATE_LIMIT_{name}": UNLIMITED for name in ("MEMORY_ADD", "MEMORY_SEARCH", "MEMORY_CHANGE", "REQUEST")}
SETTINGS = LIMITS | {"EXACT_SCAN_LIMIT": "100", "DATABASE_POOL": "20"}
POSTGRES_SECONDS = 3.0


@dataclass
class Fleet:
    """A running server over its services. `server` is another one after a restart."""

    stack: Stack
    folder: Path
    workers: int
    outage_seconds: float
    server: ServerProcess = field(init=False)
    _opened: contextlib.ExitStack = field(init=False)

    @property
    def settings(self) -> dict[str, str]:
        return self.stack.settings | SETTINGS

    def __enter__(self) -> "Fleet":
        self._opened = contextlib.ExitStack()
        running = started(self.folder, "--workers", str(self.workers), **self.settings)
        self.server = self._opened.enter_context(running)
        return self

    def __exit__(self, *_error: object) -> None:
        self._opened.close()

    def url(self) -> str:
        return self.server.url

    def key(self) -> str:
        completed = run(self.folder, "create-key", "--email", "soak@example.com", "--project", "Soak", **self.settings)
        return completed.stdout.strip()

    def faults(self) -> list[Callable[[], str]]:
        """Return what to do, one after the other. Each returns a sentence about what it did."""
        return [
            lambda: self._kill_worker(0),
            lambda: self._kill_worker(-1),
            lambda: self._kill(self.stack.chroma, "Chroma", self.outage_seconds),
            lambda: self._kill(self.stack.redis, "Redis", self.outage_seconds),
            lambda: self._stop(self.stack.chroma, "Chroma"),
            lambda: self._kill(self.stack.postgres, "Postgres", POSTGRES_SECONDS),
            self._restart,
        ]

    def _kill_worker(self, position: int) -> str:
        """Each worker owns a part of the index."""
        workers = workers_of(self.server)
        if not workers:
            return "found no worker to kill"
        os.kill(workers[position], signal.SIGKILL)
        return f"killed one of {len(workers)} workers"

    def _kill(self, service: Service, name: str, seconds: float) -> str:
        service.kill()
        time.sleep(seconds)
        service.start()
        return f"killed {name}, started it after {seconds:.0f} s"

    def _stop(self, service: Service, name: str) -> str:
        with service.hanging():
            time.sleep(self.outage_seconds)
        return f"stopped {name} for {self.outage_seconds:.0f} s (SIGSTOP)"

    def _restart(self) -> str:
        code = self.server.stop()
        self._opened.close()
        self.__enter__()
        return f"stopped the server (SIGTERM), which exited with {code}, and started it again"


def cause(fleet: Fleet, every: float, until: threading.Event) -> None:
    """Cause the next fault every `every` seconds."""
    began = time.monotonic()
    for number, fault in enumerate(itertools.cycle(fleet.faults()), 1):
        if until.wait(max(began + number * every - time.monotonic(), 0)):
            return
        moment = time.monotonic() - began
        print(f"{moment:6.0f} s: {fault()}", flush=True)
