"""Limits for attempts: to sign in, to get a reset link, to create accounts, to invite people.

Only failed guesses count. The limit is strictest per account and address together, so that a stranger cannot lock an
account, and looser per address and per account alone. A browser that was signed in to the account before has its own
count instead, which other people cannot use up.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence

from starlette.requests import HTTPConnection

from server.adapters.limits import Limits, Rule
from server.adapters.oidc import ProviderRefused
from server.buckets import Bucket
from server.domain import names
from server.domain.people import known_browsers
from server.domain.people.passwords import WrongPassword
from server.domain.people.step_up import WrongProof
from server.errors import Unauthenticated
from server.hashing import token_hash
from server.shell.runtime import Runtime, State
from server.web.request_credentials import address_of, site_of

LOOSELY = 10
"""The factor for the rate of a key that many people may share."""

DAILY = 10
"""How many failures an account may have from one address in a day, as a multiple of its first rate."""

FAILURES = (Unauthenticated, WrongPassword, WrongProof, ProviderRefused)
"""The errors that make an attempt count."""


@contextlib.asynccontextmanager
async def signing_in(request: HTTPConnection[State], email: str) -> AsyncIterator[None]:
    """Run an attempt to sign in to an account, which may not exist. Raises RateLimited."""
    runtime = request.state["runtime"]
    browser_id = await _known_browser(request, email)
    async with _guessing(runtime, _of_account(runtime.limits, address_of(request), email, browser_id)):
        yield


@contextlib.asynccontextmanager
async def signing_in_anonymously(request: HTTPConnection[State]) -> AsyncIterator[None]:
    """Run a sign-in attempt that names no account: by passkey or through the identity provider. Raises RateLimited."""
    runtime = request.state["runtime"]
    async with _guessing(runtime, [_of_address(runtime.limits, address_of(request))]):
        yield


@contextlib.asynccontextmanager
async def proving(runtime: Runtime, user_id: str) -> AsyncIterator[None]:
    """Run a signed-in user's attempt to confirm their identity. Raises RateLimited."""
    async with _guessing(runtime, [runtime.limits.rule(Bucket.SIGN_IN, "user", user_id, daily=DAILY)]):
        yield


async def count_sign_up(request: HTTPConnection[State]) -> None:
    """Count a sign-up against the limits of the client's address and of its IPv6 /48. Raises RateLimited."""
    limits = request.state["runtime"].limits
    rules = [limits.rule(Bucket.SIGN_UP, address_of(request))]
    if (site := site_of(request)) is not None:
        rules.append(limits.rule(Bucket.SIGN_UP, "site", site, times=LOOSELY))
    await _count(request, rules)


async def count_reset_form(request: HTTPConnection[State]) -> None:
    """Count a request for a reset link against the client's address alone, so that strangers cannot block an account.

    Raises RateLimited.
    """
    limits = request.state["runtime"].limits
    await _count(request, [limits.rule(Bucket.SIGN_IN, "reset", address_of(request), times=LOOSELY)])


async def count_invitation(request: HTTPConnection[State]) -> None:
    """Count an invitation against the client's address, which may have many accounts. Raises RateLimited."""
    limits = request.state["runtime"].limits
    await _count(request, [limits.rule(Bucket.INVITATION, "address", address_of(request), times=LOOSELY)])


async def _count(request: HTTPConnection[State], rules: Sequence[Rule]) -> None:
    runtime = request.state["runtime"]
    for rule in rules:
        await runtime.in_thread(runtime.limits.count, rule)


@contextlib.asynccontextmanager
async def _guessing(runtime: Runtime, rules: Sequence[Rule]) -> AsyncIterator[None]:
    await runtime.in_thread(runtime.limits.begin, rules)
    try:
        yield
    except FAILURES:
        await runtime.in_thread(runtime.limits.fail, rules)
        raise
    finally:
        runtime.limits.end(rules)


def _of_account(limits: Limits, address: str, email: str, browser_id: str | None) -> list[Rule]:
    account = token_hash(names.fold_email(email))
    if browser_id is not None:
        return [limits.rule(Bucket.SIGN_IN, "browser", account, browser_id, daily=DAILY)]
    return [
        limits.rule(Bucket.SIGN_IN, "account and address", account, address, daily=DAILY),
        _of_address(limits, address),
        limits.rule(Bucket.SIGN_IN, "account", account, times=LOOSELY),
    ]


def _of_address(limits: Limits, address: str) -> Rule:
    return limits.rule(Bucket.SIGN_IN, "address", address, times=LOOSELY)


async def _known_browser(request: HTTPConnection[State], email: str) -> str | None:
    """Return the id of the browser if it was signed in to the account before."""
    runtime = request.state["runtime"]
    value = request.cookies.get(known_browsers.cookie_name(email))
    return await runtime.read(known_browsers.browser_id, runtime.settings, email, value) if value else None
