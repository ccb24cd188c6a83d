"""Ways to sign in other than a password, and the sealed cookies that hold an unfinished sign-in. No row is written for
a person who is not signed in: the browser keeps the challenge, and returns it with the answer.
"""

import json
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.cookies import set_private_cookie
from server.domain.people import passkeys
from server.domain.people.passkeys import CHALLENGE_SECONDS, Challenge, RelyingParty
from server.models.base import now
from server.runtime import Runtime, State
from server.settings import Settings
from server.urls import address_of

CHALLENGE_COOKIE = "passkey_challenge"
PROVIDER_COOKIE = "provider_sign_in"
SIGN_IN = "/sign-in"
SECONDS = CHALLENGE_SECONDS
MAX_COOKIE = 4000
"""Browsers drop cookies whose name, value and attributes exceed 4096 bytes."""

SealedValues = dict[str, str]


class Ways(NamedTuple):
    """The ways to sign in that a page offers. `passkey_options` is JSON for the browser."""

    provider: str | None = None
    passkey_options: str | None = None
    challenge: Challenge | None = None

    def remember(self, response: Response, runtime: Runtime) -> None:
        """Make the browser keep the page's challenge."""
        if self.challenge is not None:
            keep_challenge(response, runtime, self.challenge, SIGN_IN, "")


def ways_of(request: Request[State], template: str) -> Ways:
    """Return the ways that a sign-in or sign-up page offers. Only sign-in accepts a passkey."""
    runtime = request.state["runtime"]
    provider = runtime.provider.name if runtime.provider else None
    party = relying_party(runtime.settings)
    if template != "sign_in.html" or party is None:
        return Ways(provider)
    challenge = challenge_for(request, "")
    return Ways(provider, passkeys.sign_in_options(party, challenge), challenge)


def relying_party(settings: Settings) -> RelyingParty | None:
    """Return this server as a relying party for passkeys, or None where browsers allow no passkeys.

    They need a host name, and https unless it is localhost (Web Authentication section 5.1.2, secure contexts).
    """
    host = urlsplit(settings.public_url).hostname or ""
    is_local = host == "localhost" or host.endswith(".localhost")
    if is_local or (settings.is_https and not address_of(host)):
        return RelyingParty(host, settings.public_url)
    return None


def challenge_for(request: Request[State], owner: str) -> Challenge:
    """Return the challenge that this browser keeps for `owner`, or a new one. All tabs of the browser share it."""
    current = kept_challenge(request, owner)
    if current is not None and (current.expires_at - now()).total_seconds() > SECONDS / 2:
        return current
    return passkeys.new_challenge()


def kept_challenge(request: Request[State], owner: str) -> Challenge | None:
    """Return the challenge that this browser keeps. `owner` is a session's id, or "" for signing in."""
    values = unsealed(request, CHALLENGE_COOKIE)
    if values is None or values.get("owner") != owner:
        return None
    return Challenge(bytes.fromhex(values["value"]), datetime.fromisoformat(values["expires_at"]))


def keep_challenge(response: Response, runtime: Runtime, challenge: Challenge, path: str, owner: str) -> None:
    values = {"owner": owner, "value": challenge.value.hex(), "expires_at": challenge.expires_at.isoformat()}
    set_sealed(response, runtime, CHALLENGE_COOKIE, path, sealed(runtime, CHALLENGE_COOKIE, values))


def sealed(runtime: Runtime, name: str, values: SealedValues) -> str:
    """Return a value for the cookie `name` that the browser cannot read, change or move to another cookie."""
    return runtime.sign_in_seal.encrypt(json.dumps([name, values]).encode()).decode()


def unsealed(request: Request[State], name: str) -> SealedValues | None:
    """Return the values that this server sealed into the cookie, or None if they are invalid or too old."""
    value = request.cookies.get(name, "").encode("utf-8", "surrogatepass")
    try:
        cookie, values = json.loads(request.state["runtime"].sign_in_seal.decrypt(value, ttl=SECONDS))
    except InvalidToken:
        return None
    return values if cookie == name else None


def set_sealed(response: Response, runtime: Runtime, name: str, path: str, value: str) -> None:
    """Set the cookie for the pages below `path`. An empty `value` deletes it."""
    set_private_cookie(response, runtime.settings, name, value, SECONDS if value else 0, path)
