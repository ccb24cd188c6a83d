"""Worker threads for the event loop: one crossing there and one back, which cost a third of those of anyio."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

STOP_SECONDS = 3.0
"""How long the end waits for work that runs. Work that hangs ends with the process."""


class Workers:
    """Threads that start when they are needed. The caller limits how much runs at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running = 0

    async def run(self, ended: Callable[[], None], work: Callable[..., T], *args: object) -> T:
        """Run `work` on a thread, in a copy of this context.

        The loop calls `ended` after the work, also if the request was cancelled and did not wait.
        """
        try:
            self._start_if_all_work()
        except RuntimeError:  # the system has no thread left
            ended()
            raise
        self._running += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(set_outcome: Callable[[Any], None], outcome: object) -> None:
            self._running -= 1
            ended()
            if not future.cancelled():
                set_outcome(outcome)

        self._jobs.put(_Job(loop, future, settle, copy_context(), work, args))
        return await future

    def close(self) -> None:
        """End the threads after the work that runs."""
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _start_if_all_work(self) -> None:
        if self._running < len(self._threads):
            return
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=_serve, args=[self._jobs], name=name, daemon=True)
        thread.start()
        self._threads.append(thread)


@dataclass(frozen=True, slots=True)
class _Job:
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    settle: Callable[[Callable[[Any], None], object], None]
    context: Context
    work: Callable[..., object]
    args: tuple[object, ...]

    def run(self) -> None:
        try:
            result = self.context.run(self.work, *self.args)
        except BaseException as error:  # noqa: BLE001 - it belongs to the request that waits
            self._end(self.future.set_exception, error)
        else:
            self._end(self.future.set_result, result)

    def _end(self, set_outcome: Callable[[Any], None], outcome: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
            self.loop.call_soon_threadsafe(self.settle, set_outcome, outcome)


def _serve(jobs: "SimpleQueue[_Job | None]") -> None:
    while job := jobs.get():
        job.run()
        del job  # or the thread would keep what the request held until the next one
