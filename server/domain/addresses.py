"""The email address of an account: confirming it, and changing it, by a link that is mailed to it."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, letters, names, sent_letters
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.constraints import EmailTaken, flush_or_conflict
from server.domain.locks import lock_user
from server.domain.people import known_browsers, mailed_tokens, sessions, users
from server.domain.people.passwords import LinkEnded, WrongPassword
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import withdrawals
from server.errors import Conflict, Invalid
from server.mailer import Mailer
from server.models import MailedToken, User
from server.models.base import now
from server.models.notifications import LetterKind
from server.models.users import MailedPurpose
from server.principal import Principal


class NoMail(Conflict):
    sentence = "This server does not send email: ask its administrator to change the address."


class Verification(NamedTuple):
    """What a mailed link confirms: the user's present address or, with `is_change`, a new one that replaces it."""

    user: User
    address: str
    is_change: bool


def send_verification(session: Session, user: User, mailer: Mailer) -> None:
    """Mail a link that confirms the address, unless it is confirmed or such a letter has just been sent.

    The owner of the mailbox may not want these letters, so an address gets only a few a day.
    """
    if not mailer.is_on:
        return
    lock_user(session, user.id)
    session.refresh(user)
    if user.email is None or user.email_verified_at is not None:
        return
    if mailed_tokens.was_just_mailed(session, user.id, MailedPurpose.VERIFY):
        return
    if sent_letters.admit(session, LetterKind.VERIFICATION, user.email):
        token = mailed_tokens.issue(session, user.id, MailedPurpose.VERIFY)
        letters.send_verification(session, mailer, user.email, token)


def request_change(session: Session, principal: Principal, email: str, mailer: Mailer) -> None:
    """Mail a link to the new address that makes it the principal's, and a notice to the present one.

    If another account has the address, its owner gets a letter without a link instead. The caller cannot tell the
    difference. Only the newest request counts. Raises Invalid, NoMail, Forbidden for a key or token.
    """
    require_session(principal)
    if not mailer.is_on:
        raise NoMail
    address = names.parse_email(email)
    user = users.locked_me(session, principal)
    _require_another(user, address)
    if mailed_tokens.was_just_mailed(session, user.id, MailedPurpose.CHANGE, address):
        return
    mailed_tokens.discard(session, user.id, MailedPurpose.CHANGE)
    token = mailed_tokens.issue(session, user.id, MailedPurpose.CHANGE, address=address)
    audit.record_account_event(session, Event.EMAIL_CHANGE_REQUESTED, user.id)
    if not sent_letters.admit(session, LetterKind.VERIFICATION, address, user.id):
        return
    if users.by_email(session, address) is None:
        letters.send_change(session, mailer, address, token)
    else:
        letters.send_address_taken(session, mailer, address)
    letters.send_security_notice(session, mailer, user, letters.CHANGE_REQUESTED)


def requested_change(session: Session, principal: Principal) -> str | None:
    """Return the new address that the principal requested, while its link works. Raises Forbidden without a session."""
    require_session(principal)
    query = sa.select(col(MailedToken.address)).where(
        col(MailedToken.user_id) == principal.user_id,
        col(MailedToken.purpose) == MailedPurpose.CHANGE,
        col(MailedToken.expires_at) > now(),
    )
    return session.execute(query).scalars().first()


def verification_of(session: Session, token: str) -> Verification:
    """Return what this link confirms. Raises LinkEnded."""
    for purpose in (MailedPurpose.VERIFY, MailedPurpose.CHANGE):
        row = mailed_tokens.find(session, token, purpose)
        if row is not None:
            user = session.get_one(User, row.user_id)
            return Verification(user, row.address or user.email or "", purpose is MailedPurpose.CHANGE)
    raise LinkEnded


def verify(
    session: Session, token: str, signed_in_id: str | None, password: str, browser: BrowserInfo, mailer: Mailer
) -> str | None:
    """Confirm an address by a mailed link. The person must be signed in to the account or know its password.

    The link alone is not enough: somebody else may have given the address of the person who gets the link.
    `signed_in_id` is the user who is signed in. A change ends all sessions; return the value of a new one for a person
    who was signed in. Raises LinkEnded, WrongPassword (the link then still works), EmailTaken.
    """
    user, address, is_change = verification_of(session, token)
    is_signed_in = user.id == signed_in_id
    if not is_signed_in and not (password and users.has_password(session, user, password)):
        raise WrongPassword("this is not the password of this account.", field="password")
    if not mailed_tokens.redeem(session, token, MailedPurpose.CHANGE if is_change else MailedPurpose.VERIFY):
        raise LinkEnded
    if not is_change:
        users.verify_email(session, user)
        return None
    change(session, user, address, mailer)
    return sessions.begin(session, user, browser) if is_signed_in else None


def change(session: Session, user: User, address: str, mailer: Mailer) -> None:
    """Give the account an address that somebody has proved, and end what was bound to the one before: sessions, known
    browsers, mailed links, and invitations. Mail a notice to the address before. Raises Invalid, EmailTaken.
    """
    lock_user(session, user.id)
    session.refresh(user)
    _require_another(user, address)
    if users.by_email(session, address) is not None:
        raise EmailTaken
    letters.send_address_changed(session, mailer, user)
    withdrawals.release_address(session, user)
    user.email, user.email_verified_at, user.updated_at = address, None, now()
    flush_or_conflict(session, user)
    session.execute(sa.delete(MailedToken).where(col(MailedToken.user_id) == user.id))
    users.end_sessions(session, user.id)
    known_browsers.forget_all(user)
    audit.record_account_event(session, Event.EMAIL_CHANGED, user.id)
    users.verify_email(session, user)


def _require_another(user: User, address: str) -> None:
    if address == user.email:
        raise Invalid("this is already the address of the account.", field="email")
