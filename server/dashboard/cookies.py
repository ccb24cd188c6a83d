"""The cookies that only this server reads, and sealed ones, which hide their values from the browser too."""

import json

from cryptography.fernet import InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from server.domain.people.passkeys import CHALLENGE_SECONDS
from server.settings import Settings
from server.shell.runtime import Runtime, State

SEALED_SECONDS = CHALLENGE_SECONDS
MAX_COOKIE = 4000
"""Browsers drop cookies whose name, value and attributes exceed 4096 bytes."""

SealedValues = dict[str, str]


def set_private_cookie(
    response: Response, settings: Settings, name: str, value: str, seconds: int, path: str = "/"
) -> None:
    """Set a cookie that no script and no other site can use. If `seconds` is 0, the browser deletes it."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",  # type: ignore[arg-type]  # as RFC 6265bis spells it
    )


def sealed(runtime: Runtime, name: str, values: SealedValues) -> str:
    """Return a value for the cookie `name` that the browser cannot read, change or move to another cookie."""
    return runtime.sign_in_seal.encrypt(json.dumps([name, values]).encode()).decode()


def unsealed(request: Request[State], name: str) -> SealedValues | None:
    """Return the values that this server sealed into the cookie, or None if they are invalid or too old."""
    value = request.cookies.get(name, "").encode("utf-8", "surrogatepass")
    try:
        cookie, values = json.loads(request.state["runtime"].sign_in_seal.decrypt(value, ttl=SEALED_SECONDS))
    except InvalidToken:
        return None
    return values if cookie == name else None


def set_sealed(response: Response, runtime: Runtime, name: str, path: str, value: str) -> None:
    """Set the cookie for the pages below `path`. An empty `value` deletes it."""
    set_private_cookie(response, runtime.settings, name, value, SEALED_SECONDS if value else 0, path)
