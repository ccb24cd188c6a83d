"""Slots for one kind of work, shared fairly: a caller can hold only a few of them, and waiting has a time limit."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from server import waits
from server.errors import Unavailable
from server.hashing import token_hash

T = TypeVar("T")

MOST_KNOWN = 10_000
"""How many credentials are remembered; they take about 2 MB."""

address: ContextVar[str] = ContextVar("address", default="")
"""The client address of the current request."""

person: ContextVar[str] = ContextVar("person", default="")
"""The person and project of the current request's credential. Empty for a stranger."""


def caller() -> str:
    """Return whose share the current request uses: its person, or its address for a stranger."""
    return person.get() or address.get()


class KnownCallers:
    """Remembers whose credential it was last time, to choose a share before the credential is looked up. It grants no
    rights. Thread-safe, since each step is a single dictionary operation.
    """

    def __init__(self) -> None:
        self._callers: dict[str, str] = {}

    def caller(self, credential: str) -> str | None:
        return self._callers.get(token_hash(credential))

    def remember(self, credential: str, caller: str) -> None:
        if len(self._callers) >= MOST_KNOWN:
            self._callers.clear()
        self._callers[token_hash(credential)] = caller

    def forget(self, credential: str) -> None:
        self._callers.pop(token_hash(credential), None)


@dataclass(slots=True)
class _Line:
    """One caller's own line. `present` counts its requests that hold a slot or wait for one."""

    slots: anyio.Semaphore
    present: int = 0


class Shares:
    """`slots` of one kind. A caller holds at most `share` of them (default: a quarter), and waits in its own line, so
    a caller with a thousand requests delays only itself. Use it on the event loop.
    """

    def __init__(self, slots: int, share: int | None = None) -> None:
        self.slots = slots
        self._free = anyio.Semaphore(slots, fast_acquire=True)
        self._share = share or max(1, slots // 4)
        self._lines: dict[str, _Line] = {}

    @property
    def used(self) -> int:
        return self.slots - self._free.value

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return sum(line.present for line in self._lines.values()) - self.used

    @contextlib.asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Hold one slot. Raises Unavailable when the request has waited long enough."""
        line = self._lines.get(caller)
        if line is None:
            line = self._lines[caller] = _Line(anyio.Semaphore(self._share, fast_acquire=True))
        line.present += 1
        try:
            await _take(line.slots)
            try:
                await _take(self._free)
                try:
                    yield
                finally:
                    self._free.release()
            finally:
                line.slots.release()
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[caller]


class Threads(Shares):
    """Slots with one worker thread each."""

    def __init__(self, slots: int, share: int | None = None) -> None:
        super().__init__(slots, share)
        self._threads = anyio.CapacityLimiter(slots)

    async def run(self, caller: str, work: Callable[..., T], *args: object) -> T:
        """Run `work`, which may block, on a worker thread."""
        async with self.slot(caller):
            return await anyio.to_thread.run_sync(work, *args, limiter=self._threads)


async def _take(slots: anyio.Semaphore) -> None:
    """Raises Unavailable when the request has waited long enough."""
    try:
        slots.acquire_nowait()  # a wait with a time limit costs more than everything else here
    except anyio.WouldBlock:
        with waits.counted() as left, anyio.move_on_after(left) as scope:
            await slots.acquire()
        if scope.cancelled_caught:
            raise Unavailable from None
