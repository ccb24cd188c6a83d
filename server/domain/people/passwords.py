"""Passwords: their rules, changing one, and setting a new one through a mailed link."""

import contextlib

from sqlmodel import Session

from server.database import paused
from server.domain import audit, letters, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.grants import connections
from server.domain.people import identities, mailed_tokens, passkeys, second_factors, sessions, users
from server.domain.people.sessions import BrowserInfo, SignIn
from server.errors import Gone, Invalid, NotFound
from server.hashing import password_hash, password_matches
from server.mail import Mailer
from server.models import User
from server.models.base import now
from server.models.users import MailedPurpose
from server.principal import Principal

MIN_LENGTH = 8
MAX_LENGTH = 200


class WrongPassword(Invalid):
    def __init__(self) -> None:
        super().__init__("this is not your password.", field="current")


class NoAccount(NotFound):
    sentence = "There is no account with this email address."


class LinkEnded(Gone):
    sentence = "This link has ended: it works once, within an hour, and only if it is the newest one."


def require_acceptable(password: str) -> None:
    """Raises Invalid for a password of the wrong length."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid(f"use {MIN_LENGTH} to {MAX_LENGTH} characters.", field="password")


def new_hash(session: Session, password: str) -> str:
    """Return the hash of an acceptable password. Hashing is slow, so the transaction is paused. Raises Invalid."""
    require_acceptable(password)
    with paused(session):
        return password_hash(password)


def change(session: Session, principal: Principal, current: str, new: str, browser: BrowserInfo) -> str:
    """Replace the principal's password and end all sessions. Returns the value of a new session.

    Raises WrongPassword, Invalid.
    """
    require_session(principal)
    require_acceptable(new)
    user = session.get_one(User, principal.user_id)
    stored_hash = user.password_hash
    with paused(session):
        matches = password_matches(stored_hash, current)
        replacement_hash = password_hash(new)
    session.refresh(user)
    if not matches or user.password_hash != stored_hash:
        raise WrongPassword
    _set_hash(session, user, replacement_hash)
    audit.record_own(session, Event.PASSWORD_CHANGED, user.id)
    return sessions.begin(session, user, browser)


def mail_reset_link(session: Session, email: str, mailer: Mailer) -> None:
    """Mail a link for setting a new password, if the address has an account. The caller cannot tell which."""
    with contextlib.suppress(NoAccount):
        address, token = issue_reset(session, names.folded_email(email))
        letters.send_reset(session, mailer, address, token)


def issue_reset(session: Session, email: str) -> tuple[str, str]:
    """Return the account's address and a new reset token; earlier ones end. Raises NoAccount."""
    user = users.by_email(session, email)
    if user is None or user.email is None:
        raise NoAccount
    return user.email, mailed_tokens.issue(session, user.id, MailedPurpose.RESET)


def is_reset_link(session: Session, token: str) -> bool:
    """Return whether a password can be reset with this token now."""
    return mailed_tokens.owner_of(session, token, MailedPurpose.RESET) is not None


def reset(session: Session, token: str, new: str, browser: BrowserInfo) -> SignIn:
    """Set a new password by a mailed link, end all sessions and grants, and sign in.

    The second factor is still due. Only a reset that is the first proof of the mailbox removes it and the passkeys,
    because somebody else may have set them up. Raises LinkEnded, Invalid (the link then still works).
    """
    if not is_reset_link(session, token):
        raise LinkEnded
    replacement_hash = new_hash(session, new)
    user_id = mailed_tokens.redeem(session, token, MailedPurpose.RESET)
    user = session.get(User, user_id) if user_id else None
    if user is None:
        raise LinkEnded
    _set_hash(session, user, replacement_hash)
    connections.end_grants(session, user.id)
    if user.email_verified_at is None:
        second_factors.discard(session, user.id)
        passkeys.discard(session, user.id)
        identities.discard(session, user.id)
    users.verify_email(session, user)
    audit.record_own(session, Event.PASSWORD_RESET, user.id)
    return sessions.complete_sign_in(session, user, browser)


def _set_hash(session: Session, user: User, replacement_hash: str) -> None:
    """Store the hash of a new password, and end the reset links and sessions that the old one leaves."""
    user.password_hash = replacement_hash
    user.updated_at = now()
    mailed_tokens.discard(session, user.id, MailedPurpose.RESET)
    sessions.end_all(session, user.id)
