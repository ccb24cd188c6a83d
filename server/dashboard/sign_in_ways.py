"""Ways to sign in other than a password. No row is written for a person who is not signed in: a sealed cookie keeps the
challenge of a passkey, and the browser returns it with the answer.
"""

from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.cookies import SEALED_SECONDS, sealed, set_sealed, unsealed
from server.domain.people import passkeys
from server.domain.people.passkeys import Challenge, RelyingParty
from server.models.base import now
from server.network.urls import address_of
from server.settings import Settings
from server.shell.runtime import Runtime, State

CHALLENGE_COOKIE = "passkey_challenge"
SIGN_IN = "/sign-in"


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
    if current is not None and (current.expires_at - now()).total_seconds() > SEALED_SECONDS / 2:
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
