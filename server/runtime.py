"""The shell around the rules: what a process holds, what a request carries, and one authenticated call."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, ParamSpec, TypedDict, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlmodel import Session

from server.database import Database
from server.domain import credentials
from server.domain.credentials import PresentedCredential
from server.errors import Unauthenticated, Unavailable
from server.index import MemoryIndex
from server.limits import Limits
from server.mail import Mailer
from server.metrics import Metrics
from server.operations import BUCKETS, NAMES
from server.principal import Principal
from server.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[Session, Principal, P], T]

NOTING = 1.0
"""Seconds that a request waits for its credential's use to be written down."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What one process holds from start to end; opened and closed in the app's lifespan."""

    settings: Settings
    database: Database
    index: MemoryIndex
    limits: Limits
    mailer: Mailer
    metrics: Metrics
    threads: anyio.CapacityLimiter
    readers: anyio.CapacityLimiter
    """Fewer: what waits for nothing only gets in one another's way, since Python runs one thread at a time."""
    noting: anyio.CapacityLimiter
    """One: uses that cannot be noted hold up no other work."""

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """The one crossing from the event loop: `work` may block."""
        return await anyio.to_thread.run_sync(work, *args, limiter=self.threads)

    async def reading(self, work: Callable[..., T], *args: object) -> T:
        """As `in_thread`, for what neither writes nor waits for others."""
        return await anyio.to_thread.run_sync(work, *args, limiter=self.readers)

    async def run(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Call.run`, for nobody in particular: signing up or in, a mailed link."""
        return await self.in_thread(self._run, self.database.write, operation, args, kwargs)

    async def read(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Call.read`, for nobody in particular."""
        return await self.reading(self._run, self.database.read, operation, args, kwargs)

    def _run(
        self,
        transaction: Callable[[], AbstractContextManager[Session]],
        operation: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> T:
        with translating_outages(), transaction() as session:
            return operation(session, *args, **kwargs)

    async def authenticate(self, presented: PresentedCredential | None) -> Principal:
        """Raises Unauthenticated."""
        if presented is None:
            raise Unauthenticated
        found = await self.read(credentials.authenticate, presented)
        if found.note_use:
            await self._noted(found.principal)
        return found.principal

    async def _noted(self, principal: Principal) -> None:
        """Write the use down, if that can be done now: a database that is full or locked can still be read."""
        note = partial(self._run, self.database.write, credentials.note_use, (principal,), {})
        with suppress(Unavailable), anyio.move_on_after(NOTING):
            await anyio.to_thread.run_sync(note, limiter=self.noting, abandon_on_cancel=True)


class State(TypedDict):
    """What `request.state` holds."""

    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request through any door: who is asking, and the running process."""

    runtime: Runtime
    principal: Principal

    @property
    def index(self) -> MemoryIndex:
        return self.runtime.index

    @property
    def mailer(self) -> Mailer:
        return self.runtime.mailer

    async def run(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one operation that may write, in one transaction, on a worker thread; committed when it returns."""
        return await self.runtime.in_thread(self._run, operation, args, kwargs)

    async def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one operation that only reads, on a worker thread, in one snapshot."""
        return await self.runtime.reading(self._read, operation, args, kwargs)

    def _run(self, operation: Operation[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
        self._count(operation)
        with translating_outages(), self.runtime.database.write() as session:
            result = operation(session, self.principal, *args, **kwargs)
        self.index.wake()
        return result

    def _read(self, operation: Operation[..., T], args: tuple[object, ...], kwargs: dict[str, object]) -> T:
        self._count(operation)
        with translating_outages(), self.runtime.database.read() as session:
            return operation(session, self.principal, *args, **kwargs)

    def _count(self, operation: Callable[..., object]) -> None:
        """Raises RateLimited, before any work is done."""
        name = NAMES.get(operation)
        if name is None:  # a door's own query, made of operations
            return
        if bucket := BUCKETS.get(name):
            self.runtime.limits.hit(bucket, self.limit_key)
        self.runtime.metrics.count_operation(name)

    @property
    def limit_key(self) -> str:
        """A key or token counts for itself, a session for its user."""
        return self.principal.user_id if self.principal.is_session else self.principal.credential_id


@contextmanager
def translating_outages() -> Iterator[None]:
    """A database that is locked, full or away is Unavailable: nothing was stored."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise Unavailable from error
