"""Slots for one kind of work, shared fairly: a caller can hold only a few of them, and waiting has a time limit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from server import waits
from server.errors import ServiceError, Unavailable
from server.logs import client_address

T = TypeVar("T")

GIVEN_UP = (Unavailable, asyncio.CancelledError)
"""The exceptions with which a wait for a slot ends without one."""

STOP_SECONDS = 3.0
"""How long a stop waits for work that has begun."""

MOST_KNOWN = 10_000
"""How many credentials are remembered; they take about 4 MB."""

person: ContextVar[str] = ContextVar("person", default="")
"""The id of the person to whom the current request's credential belongs. Empty without a credential."""


def caller() -> str:
    """Return the caller whose share the current request uses: a person, or an address if there is no credential.

    A person has one share for all projects. With one for each, somebody could create projects to get more.
    """
    return person.get() or client_address.get()


class KnownCallers:
    """Remembers the person and the project of each recent credential, by its hash, to choose a share and a limit before
    the credential is looked up. It grants no rights. Thread-safe, since each step is a single dictionary operation.
    """

    def __init__(self) -> None:
        self._callers: dict[str, tuple[str, str]] = {}

    def caller(self, credential_hash: str) -> tuple[str, str] | None:
        return self._callers.get(credential_hash)

    def remember(self, credential_hash: str, caller: tuple[str, str]) -> None:
        if len(self._callers) >= MOST_KNOWN:
            self._callers.clear()
        self._callers[credential_hash] = caller

    def forget(self, credential_hash: str) -> None:
        self._callers.pop(credential_hash, None)


@dataclass(slots=True)
class _Line:
    """The line of one caller. `present` counts its requests that hold a slot or wait for one."""

    slots: asyncio.Semaphore
    present: int = 0


class Shares:
    """`slots` of one kind. A caller holds at most `share` of them, and waits in its own line, so a caller with a
    thousand requests delays only itself. Use it on the event loop.
    """

    def __init__(self, slots: int, share: int) -> None:
        self.slots = slots
        self.used = 0
        self._free = asyncio.Semaphore(slots)
        self._share = share
        self._lines: dict[str, _Line] = {}

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return sum(line.present for line in self._lines.values()) - self.used

    @contextlib.asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Hold one slot. Raises Unavailable when the request has waited long enough."""
        await self._take(caller)
        try:
            yield
        finally:
            self._give_back(caller)

    @contextlib.asynccontextmanager
    async def slot_when_needed(self, caller: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Yield a function that takes a slot. The slot is held until the block ends."""
        async with contextlib.AsyncExitStack() as held:

            async def take() -> None:
                await held.enter_async_context(self.slot(caller))

            yield take

    async def _take(self, caller: str) -> None:
        line = self._lines.get(caller)
        if line is None:
            line = self._lines[caller] = _Line(asyncio.Semaphore(self._share))
        line.present += 1
        try:
            await _acquire(line.slots)
            try:
                await _acquire(self._free)
            except GIVEN_UP:
                line.slots.release()
                raise
        except GIVEN_UP:
            self._leave(caller, line)
            raise
        self.used += 1

    def _give_back(self, caller: str) -> None:
        self.used -= 1
        self._free.release()
        line = self._lines[caller]
        line.slots.release()
        self._leave(caller, line)

    def _leave(self, caller: str, line: _Line) -> None:
        line.present -= 1
        if not line.present:
            del self._lines[caller]


class Threads(Shares):
    """Slots with one worker thread each, named after `name`."""

    def __init__(self, name: str, slots: int, share: int) -> None:
        super().__init__(slots, share)
        self._executor = ThreadPoolExecutor(slots, name)
        self._jobs: set[Future[Any]] = set()

    async def run(self, caller: str, work: Callable[..., T], *args: object) -> T:
        """Run `work`, which may block, on a worker thread. Raises Unavailable when the request has waited long enough.

        It holds its slot until it ends, even if the request is canceled.
        """
        await self._take(caller)
        job: Future[T] = Future()
        try:
            self._executor.submit(_run, job, partial(copy_context().run, work, *args))
        except RuntimeError as error:  # the system has no thread left, or the server is stopping
            if job.cancel():  # it is queued nevertheless, so another thread may have begun it
                self._give_back(caller)
                raise Unavailable from error
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        outcome = asyncio.wrap_future(job)
        outcome.add_done_callback(partial(self._end, caller, job))
        return await asyncio.shield(outcome)

    def _end(self, caller: str, job: Future[T], outcome: asyncio.Future[T]) -> None:
        self._give_back(caller)
        if not outcome.cancelled() and isinstance(job.exception(), ServiceError):
            outcome.exception()  # asyncio logs what nobody reads, and a canceled request reads nothing

    def close(self) -> None:
        """End the threads after their current work. Work that hangs ends with the process."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        wait(list(self._jobs), STOP_SECONDS)


def _run(job: Future[T], work: Callable[[], T]) -> None:
    """Run the work unless the job was canceled, and give the job its outcome."""
    if job.set_running_or_notify_cancel():
        try:
            job.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the request gets it
            job.set_exception(error)


async def _acquire(slots: asyncio.Semaphore) -> None:
    """Raises Unavailable when the request has waited long enough."""
    if not slots.locked():
        await slots.acquire()  # at once, because a wait with a time limit is much slower
        return
    try:
        with waits.counted() as left:
            async with asyncio.timeout(left):
                await slots.acquire()
    except TimeoutError:
        raise Unavailable from None
