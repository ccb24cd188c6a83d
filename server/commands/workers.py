"""Keeps worker processes running: one that ends is replaced, and one that cannot start does not stop the others."""

import contextlib
import logging
import math
import multiprocessing
import os
import signal
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from server.commands.bounded_server import END_SECONDS
from server.commands.worker_process import WorkerProcess
from server.storage.sqlite import OpenedFile

log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""How long to wait for a worker before checking the others."""

START_PAUSE_SECONDS = 0.1
"""Seconds between two checks of a worker that is starting. It answers each check at once, so the pause is needed."""

SILENCE_SECONDS = 60.0
"""A worker that has not started, or has not answered, for this long is killed.

On a starved machine a start may take longer, so a slot's next worker gets twice the time of one that never listened.
"""

MOST_DOUBLINGS = 4

KILL_SECONDS = END_SECONDS + 0.1
"""A worker that still runs this long after SIGTERM is killed: it hangs, or it would have ended itself."""

LONGEST_PAUSE_SECONDS = 30.0
"""A failed start is tried again after 1, 2, 4, ... seconds, up to this many."""

ACCEPTS_NONE = 1 << 30
"""The connection count of a worker that accepts none. It is so high that no other worker leaves a connection to it."""


@dataclass(slots=True)
class _WorkerState:
    """What we know about a worker."""

    heard_at: float = field(default_factory=lambda: time.monotonic())
    """When it was started, or last answered."""

    patience: float = SILENCE_SECONDS
    """For how many seconds it may give no answer."""

    has_listened: bool = False
    replaced_at: float | None = None
    """When to start its replacement, once it has ended."""


class Workers(Multiprocess):
    """`run` returns after SIGTERM or SIGINT, or if no first worker could start; then `have_failed` is True."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        when_listening: Callable[[], None],
        database_file: OpenedFile | None = None,
    ) -> None:
        hangup = signal.getsignal(signal.SIGHUP)
        super().__init__(config, sockets)
        self.have_failed = False
        self._stops_at = math.inf
        """When to kill workers that have not stopped."""

        self._when_listening = when_listening
        self._database_file = database_file
        self._counts = multiprocessing.RawArray("i", config.workers)
        self._seen: defaultdict[Process, _WorkerState] = defaultdict(_WorkerState)
        self._failures: defaultdict[int, int] = defaultdict(int)
        """For each slot, how many workers in a row ended before they listened."""

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        if hangup == signal.SIG_IGN:
            signal.signal(signal.SIGHUP, hangup)  # nohup started this process: it outlives its terminal

    def init_processes(self) -> None:
        """Start the workers, and wait until each listens or has ended."""
        self.processes = [self._started(slot) for slot in range(self.processes_num)]
        while not self.should_exit.is_set() and any(self._is_starting(process) for process in self.processes):
            self.handle_signals()
            self.should_exit.wait(START_PAUSE_SECONDS)
        if any(self._seen[process].has_listened for process in self.processes):
            self._when_listening()
        elif not self.should_exit.is_set():
            log.error("no worker could start")
            self.have_failed = True
            self.should_exit.set()

    def keep_subprocess_alive(self) -> None:
        for slot, process in enumerate(self.processes):
            if self.should_exit.is_set() or self.signal_queue:
                return
            if not self._is_running(process) and self._is_due(slot, process):
                del self._seen[process]
                self.processes[slot] = self._started(slot)

    def _stop(self, number: int, _frame: object) -> None:
        """Tell the workers at once. The loop that looks for signals may first wait for workers that hang."""
        self.signal_queue.append(number)
        self._stops_at = min(self._stops_at, time.monotonic() + KILL_SECONDS)
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)

    def join_all(self) -> None:
        deadline = min(self._stops_at, time.monotonic() + KILL_SECONDS)
        for process in self.processes:
            process.process.join(max(deadline - time.monotonic(), 0))
            if process.exitcode is None:
                log.warning("worker did not stop in time", extra={"pid": process.pid})
                process.kill()
            process.join()

    def handle_hup(self) -> None:
        """Stop, as one process does when its terminal is closed."""
        self.should_exit.set()

    def handle_ttin(self) -> None:
        """Ignore the signal that adds a worker in uvicorn: the processors are already divided among the workers."""

    handle_ttou = handle_ttin

    def _started(self, slot: int) -> Process:
        self._counts[slot] = ACCEPTS_NONE
        process = WorkerProcess(self.config, self.sockets, self._counts, slot, self._database_file)
        # The worker inherits this until it listens. Otherwise Ctrl-C during its imports would print a traceback.
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        process.start()
        signal.signal(signal.SIGINT, interrupt)
        self._seen[process].patience = SILENCE_SECONDS * 2 ** min(self._failures[slot], MOST_DOUBLINGS)
        return process

    def _is_starting(self, process: Process) -> bool:
        return self._is_running(process) and not self._seen[process].has_listened

    def _is_running(self, process: Process) -> bool:
        """Ask the worker, and kill it after a long silence."""
        seen = self._seen[process]
        if process.exitcode is None and process.is_ready(ANSWER_SECONDS):
            seen.heard_at = time.monotonic()
            seen.has_listened, seen.patience = True, SILENCE_SECONDS
        elif process.exitcode is None and time.monotonic() - seen.heard_at > seen.patience:
            process.kill()
            process.join()
        return process.exitcode is None

    def _is_due(self, slot: int, process: Process) -> bool:
        """Return whether to replace a worker that has ended. One that never listened is replaced after a pause."""
        seen = self._seen[process]
        if seen.replaced_at is None:
            self._failures[slot] = 0 if seen.has_listened else self._failures[slot] + 1
            # 2.0 ** 1024 is too large for a float; an integer has no limit.
            pause = float(min(2 ** (self._failures[slot] - 1), LONGEST_PAUSE_SECONDS)) if self._failures[slot] else 0.0
            seen.replaced_at = time.monotonic() + pause
            self._counts[slot] = ACCEPTS_NONE
            ended = {"pid": process.pid, "exit_code": process.exitcode, "in_seconds": pause}
            log.warning("worker ended, starting another", extra=ended)
        return time.monotonic() >= seen.replaced_at
