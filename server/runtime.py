"""The shell around the rules: what a process holds, and one authenticated call."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, ParamSpec, TypeAlias, TypedDict, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlmodel import Session

from server import waits
from server.activity_log import ActivityLog
from server.buckets import Bucket
from server.database import Database, transact
from server.database_failures import unavailable
from server.domain import credentials
from server.domain.credentials import Authenticated, PresentedCredential
from server.domain.memory.activity import Noted, noted_in
from server.domain.memory.charges import Charge
from server.errors import Unauthenticated, Unavailable
from server.hashing import token_hash
from server.health import HealthChecks
from server.index import MemoryIndex, PreparedIndex
from server.index.prepared import VectorsMissing
from server.limits import Limits
from server.mailer import Mailer
from server.metrics import Metrics
from server.oidc import IdentityProvider
from server.operations import BUCKETS, CHARGES, NAMES
from server.pools import Pools
from server.principal import Principal
from server.settings import Settings
from server.shares import Shares, Threads, address, caller, person

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[Session, Principal, P], T]
Arguments: TypeAlias = tuple[tuple[object, ...], dict[str, object]]

NOTE_USE_SECONDS = 1.0
"""A request waits at most this long for the record of its credential's use."""

NOTER_REST_SECONDS = 60.0
"""After a failed record, recording pauses for this long, so that other requests do not wait for it."""

ATTEMPTS = 5
"""The most runs of an operation that needs vectors. It runs again if a text changed while vectors were computed."""


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
    """Encrypts the sign-in attempt that a browser keeps."""
    metrics: Metrics
    health: HealthChecks
    pools: Pools
    noter: "Noter"
    activity: ActivityLog
    provider: IdentityProvider | None

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """Run `work` for a page or a form, which may block, on a worker thread."""
        return await self.pools.pages.run(caller(), work, *args)

    async def run(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Call.run`, without a principal: sign-up, sign-in, mailed links."""
        pool = self.pools.for_writing(operation)
        return await pool.run(caller(), self._run, self.database.write, operation, args, kwargs)

    async def read(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Call.read`, without a principal."""
        return await self.pools.reads.run(caller(), self._run, self.database.read, operation, args, kwargs)

    def _run(
        self,
        transaction: Callable[[], AbstractContextManager[Session]],
        operation: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> T:
        with translating_outages():
            return transact(transaction, lambda session: operation(session, *args, **kwargs))

    async def authenticate(
        self, credential: PresentedCredential | None, bucket: Bucket | None = None, project_id: str | None = None
    ) -> Principal:
        """Return the principal, and count the request. `bucket` is that of the operation that the request is for.

        Raises Unauthenticated, and RateLimited after too many requests, or when the `bucket` of `project_id` is used
        up.
        """
        if credential is None:
            raise Unauthenticated
        key = token_hash(credential.value)  # not the address: many people may share one
        found = await self.pools.authentication.run(key, self._authenticate, credential, bucket, project_id)
        person.set("/".join(limit_key(found.principal)))
        if found.note_use:
            await self.noter.note(partial(self._run, self.database.write, credentials.note_use, (found.principal,), {}))
        return found.principal

    async def count_request(self) -> None:
        """Count an anonymous request against its client address. Raises RateLimited."""
        if self.limits.may_block:
            await self.in_thread(self.limits.hit, Bucket.REQUEST, address.get())
        else:
            self.limits.hit(Bucket.REQUEST, address.get())

    def _authenticate(
        self, credential: PresentedCredential, bucket: Bucket | None, project_id: str | None
    ) -> Authenticated:
        try:
            with translating_outages(), self.database.read() as session:
                found = credentials.authenticate(session, credential)
        except Unauthenticated:
            self.limits.hit(Bucket.REQUEST, address.get())
            raise
        self.limits.hit(Bucket.REQUEST, *limit_key(found.principal))
        if bucket is not None:
            self.limits.require_room(bucket, *limit_key(found.principal, project_id))
        return found


class Noter:
    """Records uses of credentials while the database takes writes. A full or locked database still answers reads.

    One thread at a time records a use. Requests that arrive while it works are not recorded.
    """

    def __init__(self) -> None:
        self._thread = anyio.CapacityLimiter(1)
        self._resting_until = 0.0

    async def note(self, write: Callable[[], None]) -> None:
        if self._thread.borrowed_tokens or time.monotonic() < self._resting_until:
            return
        noted = False
        with suppress(Unavailable), anyio.move_on_after(NOTE_USE_SECONDS):
            await anyio.to_thread.run_sync(_with_own_waits, write, limiter=self._thread, abandon_on_cancel=True)
            noted = True
        if not noted:
            self._resting_until = time.monotonic() + NOTER_REST_SECONDS


def _with_own_waits(write: Callable[[], None]) -> None:
    waits.begin()  # the request does not wait for this thread, so their waits are separate
    write()


class State(TypedDict):
    """The type of `request.state`."""

    runtime: Runtime


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request through any door: its principal and the process that serves it."""

    runtime: Runtime
    principal: Principal

    @property
    def index(self) -> PreparedIndex:
        """A new view of the index, which one operation fills with vectors."""
        return PreparedIndex(self.runtime.index, self.caller)

    @property
    def caller(self) -> str:
        """The person and project whose share of threads and of the model this call uses."""
        return "/".join(limit_key(self.principal))

    @property
    def mailer(self) -> Mailer:
        return self.runtime.mailer

    async def run(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that may write in one transaction on a worker thread, and commit it."""
        pool = self.runtime.pools.for_writing(operation)
        return await self._attempt(pool, self.runtime.pools.texts, self._run, operation, args, kwargs)

    async def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that only reads in one snapshot on a worker thread."""
        pools = self.runtime.pools
        return await self._attempt(pools.reads, pools.questions, self._read, operation, args, kwargs)

    async def _attempt(
        self,
        pool: Threads,
        model: Shares,
        work: Callable[[Operation[..., T], Arguments, bool], T],
        operation: Operation[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> T:
        """Run the operation. If it needs vectors that are missing, await them without a thread, then run it again.

        An operation asks for vectors before its first write. Raises Unavailable if others keep changing what it needs.
        """
        for attempt in range(ATTEMPTS):
            try:
                return await pool.run(self.caller, work, operation, (args, kwargs), attempt == 0)
            except VectorsMissing as missing:
                async with model.slot(self.caller):
                    await missing.learn()
        raise Unavailable

    def _run(self, operation: Operation[..., T], arguments: Arguments, is_first: bool) -> T:
        args, kwargs = arguments
        if is_first:
            self._count(operation, arguments)
        result, noted = self._transact(self.runtime.database.write, operation, args, kwargs)
        self.runtime.activity.add(noted)
        self.runtime.index.wake()
        return result

    def _read(self, operation: Operation[..., T], arguments: Arguments, is_first: bool) -> T:
        args, kwargs = arguments
        if is_first:
            self._count(operation, arguments)
        result, noted = self._transact(self.runtime.database.read, operation, args, kwargs)
        self.runtime.activity.add(noted)
        return result

    def _transact(
        self,
        transaction: Callable[[], AbstractContextManager[Session]],
        operation: Operation[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> tuple[T, Sequence[Noted]]:
        """Return the result of the operation, and what it noted."""

        def work(session: Session) -> tuple[T, Sequence[Noted]]:
            return operation(session, self.principal, *args, **kwargs), noted_in(session)

        with translating_outages():
            return transact(transaction, work)

    def _count(self, operation: Callable[..., object], arguments: Arguments) -> None:
        """Count the call with its cost before any work is done. Raises RateLimited, and what the operation raises."""
        name = NAMES.get(operation)
        if name is None:  # a query of a door, made of several operations
            return
        if bucket := BUCKETS.get(name):
            charge = self._charge(name, arguments)
            self.runtime.limits.hit(bucket, *limit_key(self.principal, charge.project_id), cost=charge.size)
        self.runtime.metrics.count_operation(name)

    def _charge(self, name: str, arguments: Arguments) -> Charge:
        if name not in CHARGES:
            return Charge()
        args, kwargs = arguments
        with translating_outages():
            return CHARGES[name](self.runtime.database.read, self.principal, *args, **kwargs)


def limit_key(principal: Principal, project_id: str | None = None) -> tuple[str, str]:
    """Return the key of a limit: a person in a project, with any credential.

    `project_id` is the project that a session names.
    """
    return principal.user_id, principal.project_id or project_id or ""


@contextmanager
def translating_outages() -> Iterator[None]:
    """Translate a database that is locked, full or unreachable into Unavailable.

    Nothing was stored, or it says that something may have been.
    """
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise unavailable(error) from error
