"""Passwords: their rules, changing one, and setting a new one through a mailed link."""

from typing import NamedTuple

from sqlmodel import Session
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from server.domain import audit, letters, names, sent_letters
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.people import known_browsers, mailed_tokens, sessions, users
from server.domain.people.sessions import BrowserInfo
from server.errors import Gone, Invalid
from server.hashing import password_hash
from server.mailer import Mailer
from server.models import MailedToken, User
from server.models.base import now
from server.models.notifications import LetterKind
from server.models.users import MailedPurpose
from server.principal import Principal
from server.storage.database import paused
from server.text import characters

MIN_LENGTH = 8
MAX_LENGTH = 200
MOST_USED = 10_000

_most_used = frozenset(FREQUENCY_LISTS["passwords"][:MOST_USED])


class WrongPassword(Invalid):
    def __init__(self, reason: str = "this is not your current password.", field: str = "current") -> None:
        super().__init__(reason, field=field)


class LinkEnded(Gone):
    sentence = "This link no longer works: it has expired, or it or another link was used. Request a new link."


class PendingReset(NamedTuple):
    """A reset that the form may complete: the account's address, whether the link is the first proof that the user owns
    the mailbox, and whether the account already has a password.
    """

    email: str
    is_first_proof: bool
    has_password: bool


def require_acceptable(password: str, email: str, name: str) -> None:
    """Raises Invalid for a password that is too short, too long, blank, very common, or the account's own address or
    name.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Invalid(f"use {MIN_LENGTH} to {MAX_LENGTH} characters.", field="password")
    if not password.strip():
        raise Invalid("a password needs more than spaces.", field="password")
    if is_common(password):
        raise Invalid("this is one of the most common passwords: choose another one.", field="password")
    if is_own(password, email, name):
        raise Invalid("choose a password other than your email address or name.", field="password")


def new_hash(session: Session, password: str, email: str, name: str) -> str:
    """Return the hash of an acceptable password. Hashing is slow, so the transaction is paused. Raises Invalid."""
    require_acceptable(password, email, name)
    with paused(session):
        return password_hash(password)


def change(session: Session, principal: Principal, current: str, new: str, browser: BrowserInfo, mailer: Mailer) -> str:
    """Replace the principal's password, end all sessions and mail a notice. Returns the value of a new session.

    Raises WrongPassword, Invalid.
    """
    require_session(principal)
    user = session.get_one(User, principal.user_id)
    replacement_hash = new_hash(session, new, user.email or "", user.name)
    if not users.has_password(session, user, current):
        raise WrongPassword
    _set_hash(session, user, replacement_hash)
    audit.record_account_event(session, Event.PASSWORD_CHANGED, user.id)
    letters.send_security_notice(session, mailer, user, "Your password was changed.")
    return sessions.begin(session, user, browser)


def mail_reset_link(session: Session, email: str, mailer: Mailer) -> None:
    """Mail a link for setting a new password if the address has an account. The caller does not learn whether it has
    one. An account gets one such letter per `mailed_tokens.LETTER_EVERY`. An unconfirmed address may belong to a
    stranger, so it gets only a few a day.
    """
    user = users.locked_by_email(session, names.fold_email(email)) if mailer.is_on else None
    if user is None or user.email is None:
        return
    if mailed_tokens.was_just_mailed(session, user.id, MailedPurpose.RESET):
        return
    if user.email_verified_at is None and not sent_letters.admit(session, LetterKind.RESET, user.email):
        return
    letters.send_reset(session, mailer, user.email, mailed_tokens.issue(session, user.id, MailedPurpose.RESET))


def issue_reset(session: Session, email: str) -> tuple[User, str]:
    """Return the account with this address and a new reset token for the command line. Raises NoAccount."""
    user = users.require_by_email(session, email)
    return user, mailed_tokens.issue(session, user.id, MailedPurpose.RESET, was_mailed=False)


def pending_reset(session: Session, token: str) -> PendingReset:
    """Return what a reset with this token would be. Raises LinkEnded."""
    row = _require_reset(session, token)
    user = session.get_one(User, row.user_id)
    is_first_proof = row.was_mailed and user.email_verified_at is None
    return PendingReset(user.email or "", is_first_proof, has_password=user.password_hash is not None)


def reset(session: Session, token: str, new: str, mailer: Mailer) -> tuple[User, bool]:
    """Set a new password by a link, end all sessions and mail a notice. `accounts.reset_password` does the rest.

    Returns the user, and whether the link proves the user's mailbox. Raises LinkEnded, Invalid (the link then still
    works).
    """
    row = _require_reset(session, token)
    user = session.get_one(User, row.user_id)
    replacement_hash = new_hash(session, new, user.email or "", user.name)
    if not mailed_tokens.redeem(session, token, MailedPurpose.RESET):
        raise LinkEnded
    session.refresh(user)
    _set_hash(session, user, replacement_hash)
    letters.send_security_notice(session, mailer, user, "Your password was reset with a link.")
    return user, row.was_mailed


def _require_reset(session: Session, token: str) -> MailedToken:
    """Return the row of a valid token. Raises LinkEnded."""
    row = mailed_tokens.find(session, token, MailedPurpose.RESET)
    if row is None:
        raise LinkEnded
    return row


def _set_hash(session: Session, user: User, replacement_hash: str) -> None:
    """Store the hash of a new password. End the sessions, known browsers and reset links of the old one, and a change
    of address that somebody who knew it may have requested.
    """
    user.password_hash = replacement_hash
    user.updated_at = now()
    for purpose in (MailedPurpose.RESET, MailedPurpose.CHANGE):
        mailed_tokens.discard(session, user.id, purpose)
    users.end_sessions(session, user.id)
    known_browsers.forget_all(user)


def is_common(password: str) -> bool:
    """Return whether this is one of the most common passwords, ignoring case and surrounding spaces."""
    return _folded(password) in _most_used


def is_own(password: str, email: str, name: str) -> bool:
    """Return whether the letters and digits are those of the address, of the part before its @, or of the name."""
    return _letters(password) in map(_letters, (email, email.partition("@")[0], name))


def _folded(text: str) -> str:
    return characters.normalize("NFKC", text).strip().casefold()


def _letters(text: str) -> str:
    """Return the letters and digits of the text, or the whole text if there are none."""
    folded = _folded(text)
    return "".join(character for character in folded if character.isalnum()) or folded
