"""The shell around the rules: what a process holds, and one authenticated call."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Concatenate, ParamSpec, TypeAlias, TypedDict, TypeVar

from cryptography.fernet import Fernet
from sqlmodel import Session

from server.adapters.limits import Limits
from server.adapters.oidc import IdentityProvider
from server.buckets import Bucket
from server.domain import credentials
from server.domain.credentials import Authenticated, PresentedCredential
from server.domain.memory.activity import Noted, noted_in
from server.domain.memory.charges import Charge
from server.errors import Unauthenticated, Unavailable
from server.index import MemoryIndex, PreparedIndex
from server.index.prepared import VectorsMissing
from server.logs import client_address
from server.mailer import Mailer
from server.metrics import Metrics
from server.principal import Principal
from server.settings import Settings
from server.shell.activity_log import ActivityLog
from server.shell.health import HealthChecks
from server.shell.last_use import UseRecorder
from server.shell.operations import ENDING, LIMITS, NAMES, READING_FIRST
from server.shell.pools import Pools
from server.shell.shares import KnownCallers, Shares, Threads, caller, person
from server.storage.database import Database, transact
from server.storage.database_failures import translating_outages

__all__ = ["translating_outages"]  # doors may use adapters only through the shell

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[Concatenate[Session, Principal, P], T]
Transaction: TypeAlias = Callable[[], AbstractContextManager[Session]]
Arguments: TypeAlias = tuple[tuple[object, ...], dict[str, object]]

ATTEMPTS = 5
"""How many times an operation may run. It runs again if a text has changed while its vectors were computed."""


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
    """Encrypts a sign-in attempt, which the browser keeps."""
    metrics: Metrics
    health: HealthChecks
    pools: Pools
    use_recorder: UseRecorder
    activity: ActivityLog
    provider: IdentityProvider | None
    known: KnownCallers = field(default_factory=KnownCallers)

    async def in_thread(self, work: Callable[..., T], *args: object) -> T:
        """Run `work` for a page or a form, which may block, on a worker thread."""
        return await self.pools.pages.run(caller(), work, *args)

    async def run(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Call.run`, without a principal: sign-up, sign-in, mailed links."""
        pool = self.pools.for_writing(operation)
        transaction = partial(self.database.write, reads_first=operation in READING_FIRST)
        return await pool.run(caller(), partial(_transact, transaction, operation, *args, **kwargs))

    async def read(self, operation: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `Call.read`, without a principal."""
        work = partial(_transact, self.database.read, operation, *args, **kwargs)
        return await self.pools.reads.run(caller(), work)

    async def authenticate(
        self, credential: PresentedCredential | None, bucket: Bucket | None = None, project_id: str | None = None
    ) -> Principal:
        """Return the principal, and count the request. `bucket` is the bucket of the requested operation.

        Raises Unauthenticated, and RateLimited after too many requests, or when the `bucket` of `project_id` is used
        up.
        """
        if credential is None:
            raise Unauthenticated
        key = credential.hash  # not the address: many people may share one
        outcome = await self.pools.authentication.run(key, self._authenticate, credential, bucket, project_id)
        await self.authenticated(outcome)
        return outcome.principal

    async def late_call(
        self, credential: PresentedCredential | None, bucket: Bucket | None = None, project_id: str | None = None
    ) -> "Call":
        """Return a call whose first operation looks up a known credential, so that one trip to a thread does both.

        An unknown credential, or one whose `bucket` may be used up, is looked up now. Raises the errors of
        `authenticate`.
        """
        known = self.known.caller(credential.hash) if credential else None
        if known is None or (bucket and not self._has_room(bucket, known, project_id)):
            return Call(self, await self.authenticate(credential, bucket, project_id))
        person.set(known[0])
        return Call(self, None, credential)

    def _has_room(self, bucket: Bucket, known: tuple[str, str], project_id: str | None) -> bool:
        user_id, own_project_id = known
        return self.limits.has_room(bucket, user_id, own_project_id or project_id or "")

    async def authenticated(self, outcome: Authenticated) -> None:
        """Continue as this person, and record the use of the credential."""
        person.set(outcome.principal.user_id)
        if outcome.note_use:
            write = partial(_transact, self.database.write, credentials.note_use, outcome.principal)
            await self.use_recorder.note(write)

    async def count_request(self) -> None:
        """Count an anonymous request against its client address. Raises RateLimited."""
        if self.limits.may_block:
            await self.in_thread(self.limits.hit, Bucket.REQUEST, client_address.get())
        else:
            self.limits.hit(Bucket.REQUEST, client_address.get())

    def _authenticate(
        self, credential: PresentedCredential, bucket: Bucket | None, project_id: str | None
    ) -> Authenticated:
        with translating_outages(), self.database.read() as session:
            outcome = self.look_up(session, credential)
        if bucket is not None:
            self.limits.require_room(bucket, *limit_key(outcome.principal, project_id))
        return outcome

    def look_up(self, session: Session, credential: PresentedCredential) -> Authenticated:
        """Return the principal of the credential, and count the request. Raises Unauthenticated, RateLimited."""
        try:
            outcome = credentials.authenticate(session, credential)
        except Unauthenticated:
            self.known.forget(credential.hash)
            self.limits.hit(Bucket.REQUEST, client_address.get())
            raise
        self.known.remember(credential.hash, limit_key(outcome.principal))
        self.limits.hit(Bucket.REQUEST, *limit_key(outcome.principal))
        return outcome


class State(TypedDict):
    """The type of `request.state`."""

    runtime: Runtime


@dataclass(slots=True)
class Call:
    """One request through any door: its principal and the process that serves it.

    A late call has a credential in `presented`, which its first operation looks up.
    """

    runtime: Runtime
    found: Principal | None
    presented: PresentedCredential | None = None
    _unnoted: Authenticated | None = None

    @property
    def principal(self) -> Principal:
        assert self.found is not None  # noqa: S101 - a late call runs an operation first
        return self.found

    @property
    def index(self) -> PreparedIndex:
        """A new `PreparedIndex` for this call's operation, which learns the vectors that it needs."""
        return PreparedIndex(self.runtime.index, self.caller)

    @property
    def caller(self) -> str:
        """The person to whom this call's threads and use of the model are charged."""
        return self.found.user_id if self.found else caller()

    @property
    def mailer(self) -> Mailer:
        return self.runtime.mailer

    async def settle(self) -> None:
        """Authenticate now, unless an operation has already tried, so that an invalid credential is refused first."""
        if self.presented:
            self.found = await self.runtime.authenticate(self.presented)
            self.presented = None

    async def run(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that may write in one transaction on a worker thread, and commit it."""
        pool = self.runtime.pools.for_writing(operation)
        return await self._attempt(pool, self.runtime.pools.texts, partial(self._run, operation, (args, kwargs)))

    async def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation that only reads in one snapshot on a worker thread."""
        pools = self.runtime.pools
        return await self._attempt(pools.reads, pools.questions, partial(self._read, operation, (args, kwargs)))

    async def _attempt(self, pool: Threads, model: Shares, work: Callable[[bool], T]) -> T:
        """Run `work`, which gets whether this is the first attempt. If it needs vectors that are missing, await them
        without a thread, then run it again.

        An operation asks for vectors before its first write. Raises Unavailable if others keep changing what it needs.
        """
        for attempt in range(ATTEMPTS):
            try:
                return await pool.run(self.caller, work, attempt == 0)
            except VectorsMissing as missing:
                async with model.slot(self.caller):
                    await missing.learn()
            finally:
                if self._unnoted:
                    found, self._unnoted = self._unnoted, None
                    await self.runtime.authenticated(found)
        raise Unavailable

    def _look_up(self, session: Session, asks: bool = False) -> Principal:
        """Return the principal. If it is known from before, ask again with `asks`. Raises Unauthenticated."""
        if self.presented:
            presented, self.presented = self.presented, None
            self._unnoted = self.runtime.look_up(session, presented)
            self.found = self._unnoted.principal
        elif asks:
            credentials.require_kept(session, self.principal)
        return self.principal

    def _run(self, operation: Operation[..., T], arguments: Arguments, is_first: bool) -> T:
        reads_first = is_first and operation in READING_FIRST
        if is_first and not reads_first:
            with translating_outages(), self.runtime.database.read() as session:
                self._look_up(session)
                self._count(session, operation, arguments)
        transaction = partial(self.runtime.database.write, reads_first=reads_first)
        result = self._transact(transaction, operation, arguments, counts=reads_first, asks=operation not in ENDING)
        self.runtime.index.wake()
        return result

    def _read(self, operation: Operation[..., T], arguments: Arguments, is_first: bool) -> T:
        return self._transact(self.runtime.database.read, operation, arguments, counts=is_first, asks=False)

    def _transact(
        self, transaction: Transaction, operation: Operation[..., T], arguments: Arguments, counts: bool, asks: bool
    ) -> T:
        args, kwargs = arguments

        def work(session: Session) -> tuple[T, Sequence[Noted]]:
            principal = self._look_up(session, asks)
            if counts:
                self._count(session, operation, arguments)
            return operation(session, principal, *args, **kwargs), noted_in(session)

        with translating_outages():
            result, noted = transact(transaction, work)
        self.runtime.activity.add(noted)
        return result

    def _count(self, session: Session, operation: Callable[..., object], arguments: Arguments) -> None:
        """Count the call with its cost before any work is done. Raises RateLimited, and what the operation raises."""
        name = NAMES.get(operation)
        if name is None:  # a door's own query, which combines several operations
            return
        if limit := LIMITS.get(operation):
            args, kwargs = arguments
            charge = limit.charge(session, self.principal, *args, **kwargs) if limit.charge else Charge()
            self.runtime.limits.hit(limit.bucket, *limit_key(self.principal, charge.project_id), cost=charge.size)
        self.runtime.metrics.count_operation(name)


def _transact(transaction: Transaction, operation: Callable[..., T], *args: object, **kwargs: object) -> T:
    with translating_outages():
        return transact(transaction, lambda session: operation(session, *args, **kwargs))


def limit_key(principal: Principal, project_id: str | None = None) -> tuple[str, str]:
    """Return the rate-limit key of a person in a project. It is the same for all their credentials.

    `project_id` is the project that a session names.
    """
    return principal.user_id, principal.project_id or project_id or ""
