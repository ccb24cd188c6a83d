"""The shell around the rules: what a process holds, and one authenticated call."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, ParamSpec, TypedDict, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlmodel import Session

from server.database import Database
from server.domain import credentials
from server.domain.credentials import PresentedCredential
from server.errors import Unauthenticated, Unavailable
from server.health import HealthChecks
from server.index import MemoryIndex
from server.limits import Limits
from server.mailer import Mailer
from server.metrics import Metrics
from server.oidc import IdentityProvider
from server.operations import BUCKETS, NAMES
from server.principal import Principal
from server.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[Session, Principal, P], T]

NOTE_USE_SECONDS = 1.0
"""A request waits this long at most until its credential's use is recorded."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The resources of one process. The app's lifespan opens and closes them."""

    settings: Settings
    database: Database
    index: MemoryIndex
    limits: Limits
    mailer: Mailer
    second_factor_seal: Fernet
    sign_in_seal: Fernet
    """Seals what a browser keeps of a sign-in under way."""
    metrics: Metrics
    health: HealthChecks
    threads: anyio.CapacityLimiter
    readers: anyio.CapacityLimiter
    """Smaller than `threads`: reads are CPU-bound, and the GIL runs one thread at a time."""
    noting: anyio.CapacityLimiter
    """One thread: recording uses must not hold up other work."""
    provider: IdentityProvider | None

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """Run `work`, which may block, on a worker thread."""
        return await anyio.to_thread.run_sync(work, *args, limiter=self.threads)

    async def reading(self, work: Callable[..., T], *args: object) -> T:
        """Like `in_thread`, for work that neither writes nor waits."""
        return await anyio.to_thread.run_sync(work, *args, limiter=self.readers)

    async def run(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Call.run`, without a principal: sign-up, sign-in, mailed links."""
        return await self.in_thread(self._run, self.database.write, operation, args, kwargs)

    async def read(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Call.read`, without a principal."""
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

    async def authenticate(self, credential: PresentedCredential | None) -> Principal:
        """Raises Unauthenticated."""
        if credential is None:
            raise Unauthenticated
        found = await self.read(credentials.authenticate, credential)
        if found.note_use:
            await self._note_use(found.principal)
        return found.principal

    async def _note_use(self, principal: Principal) -> None:
        """Record the use if the database takes writes now. A full or locked database still answers reads."""
        note = partial(self._run, self.database.write, credentials.note_use, (principal,), {})
        with suppress(Unavailable), anyio.move_on_after(NOTE_USE_SECONDS):
            await anyio.to_thread.run_sync(note, limiter=self.noting, abandon_on_cancel=True)


class State(TypedDict):
    """The type of `request.state`."""

    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request through any door: its principal and the process that serves it."""

    runtime: Runtime
    principal: Principal

    @property
    def index(self) -> MemoryIndex:
        return self.runtime.index

    @property
    def mailer(self) -> Mailer:
        return self.runtime.mailer

    async def run(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that may write in one transaction on a worker thread, and commit it."""
        return await self.runtime.in_thread(self._run, operation, args, kwargs)

    async def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that only reads in one snapshot on a worker thread."""
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
        """Count the call. Raises RateLimited before any work is done."""
        name = NAMES.get(operation)
        if name is None:  # a door's own query, composed of operations
            return
        if bucket := BUCKETS.get(name):
            self.runtime.limits.hit(bucket, self.limit_key)
        self.runtime.metrics.count_operation(name)

    @property
    def limit_key(self) -> str:
        """Keys and tokens are counted one by one, sessions by user."""
        return self.principal.user_id if self.principal.is_session else self.principal.credential_id


@contextmanager
def translating_outages() -> Iterator[None]:
    """Translate a database that is locked, full or unreachable into Unavailable: nothing was stored."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise Unavailable from error
