"""Passwords: what they may be, changing one, and choosing a new one by a mailed link."""

import contextlib

from sqlmodel import Session

from server.database import paused
from server.domain import audit, letters, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.people import mailed_tokens, sessions, users
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import cascades
from server.errors import Gone, Invalid, NotFound
from server.hashing import password_hash, password_matches
from server.mail import Mailer
from server.models import User
from server.models.base import now
from server.models.users import MailedPurpose
from server.principal import Principal

SHORTEST, LONGEST = 8, 200


class WrongPassword(Invalid):
    sentence = "current: this is not your password."


class NoAccount(NotFound):
    sentence = "There is no account with this e-mail address."


class LinkEnded(Gone):
    sentence = "This link has ended: it works once, within the hour, and only the newest one."


def require_good(password: str) -> None:
    """Raises Invalid."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(f"use {SHORTEST} to {LONGEST} characters.", field="password")


def hashed(session: Session, password: str) -> str:
    """The hash of an acceptable password, made while the transaction is paused. Raises Invalid."""
    require_good(password)
    with paused(session):
        return password_hash(password)


def change(session: Session, principal: Principal, current: str, new: str, visit: BrowserInfo) -> str:
    """Replace one's password; every session ends, and the value of a new one is returned.

    Raises WrongPassword, Invalid.
    """
    require_session(principal)
    require_good(new)
    user = session.get_one(User, principal.user_id)
    stored = user.password_hash
    with paused(session):
        matches = password_matches(stored, current)
        replacement = password_hash(new)
    session.refresh(user)
    if not matches or user.password_hash != stored:
        raise WrongPassword
    _set(session, user, replacement)
    audit.record_account_event(session, Event.PASSWORD_CHANGED, user.id)
    return sessions.begin(session, user, visit)


def ask_reset(session: Session, email: str, mailer: Mailer) -> None:
    """Mail a link to choose a new password, if there is an account; the caller is told the same either way."""
    with contextlib.suppress(NoAccount):
        address, token = issue_reset(session, names.fold_email(email))
        letters.send_reset(session, mailer, address, token)


def issue_reset(session: Session, email: str) -> tuple[str, str]:
    """An account's address, and the only token that now lets its password be chosen anew. Raises NoAccount."""
    user = users.by_email(session, email)
    if user is None or user.email is None:
        raise NoAccount
    return user.email, mailed_tokens.issue(session, user.id, MailedPurpose.RESET)


def is_reset_link(session: Session, token: str) -> bool:
    return mailed_tokens.owner_of(session, token, MailedPurpose.RESET) is not None


def reset(session: Session, token: str, new: str, visit: BrowserInfo) -> str:
    """Set a new password by a mailed link and sign in: the value of the only session that is left.

    Raises LinkEnded, Invalid (the link then still works).
    """
    if not is_reset_link(session, token):
        raise LinkEnded
    replacement = hashed(session, new)
    user_id = mailed_tokens.redeem(session, token, MailedPurpose.RESET)
    user = session.get(User, user_id) if user_id else None
    if user is None:
        raise LinkEnded
    _set(session, user, replacement)
    cascades.end_grants(session, user.id)
    users.verify_email(session, user)
    audit.record_account_event(session, Event.PASSWORD_RESET, user.id)
    return sessions.begin(session, user, visit)


def _set(session: Session, user: User, replacement: str) -> None:
    """A new password ends what the old one opened: sessions, and links to replace it."""
    user.password_hash, user.updated_at = replacement, now()
    mailed_tokens.discard(session, user.id, MailedPurpose.RESET)
    sessions.end_all(session, user.id)
