"""Known browsers. A browser that was signed in to an account has a signed cookie for it, one for each account.

A new password makes all browsers unknown, because the cookie contains the account's `browser_epoch`.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from cryptography.fernet import InvalidToken
from sqlmodel import Session

from server.domain import credentials, letters, names
from server.domain.credentials import PresentedCredential
from server.domain.people import users
from server.hashing import token_hash
from server.mailer import Mailer
from server.models import User
from server.sealing import Purpose, seal_for
from server.settings import Settings

LIFETIME = timedelta(days=365)
NOTICE = "Somebody signed in to your account from a new browser."


class BrowserCookie(NamedTuple):
    """The cookie of a browser that is known to one account."""

    name: str
    value: str


def cookie_name(email: str) -> str:
    """Return the name of the cookie for the account with this address. It does not reveal the address to others."""
    return f"known_{token_hash(f'known browser {names.fold_email(email)}')[:16]}"


def browser_id(session: Session, settings: Settings, email: str, value: str) -> str | None:
    """Return the id in the cookie if the cookie makes this browser known to the account."""
    user = users.by_email(session, names.fold_email(email))
    return _id_in(settings, user, value) if user else None


def remember(
    session: Session, settings: Settings, session_value: str, cookies: Mapping[str, str], mailer: Mailer, tell: bool
) -> BrowserCookie:
    """Return the cookie for a browser that just signed in. With `tell`, mail the user if the browser was unknown."""
    principal = credentials.authenticate(session, PresentedCredential(session_value, is_session=True)).principal
    user = users.me(session, principal)
    name = cookie_name(user.email or "")
    known_id = _id_in(settings, user, cookies.get(name, ""))
    if known_id is None and tell:
        letters.send_security_notice(session, mailer, user, NOTICE)
    text = f"{known_id or secrets.token_hex(8)} {user.browser_epoch} {user.id}"
    return BrowserCookie(name, seal_for(settings, Purpose.KNOWN_BROWSER).encrypt(text.encode()).decode())


def forget_all(user: User) -> None:
    """Make every browser unknown to the account."""
    user.browser_epoch += 1


def _id_in(settings: Settings, user: User, value: str) -> str | None:
    try:
        seconds = int(LIFETIME.total_seconds())
        text = seal_for(settings, Purpose.KNOWN_BROWSER).decrypt(value.encode(), ttl=seconds).decode()
    except InvalidToken:
        return None
    identifier, epoch, user_id = text.split(" ")
    return identifier if (epoch, user_id) == (str(user.browser_epoch), user.id) else None
