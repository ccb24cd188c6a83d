"""Two-factor authentication: an authenticator app (TOTP, RFC 6238) and recovery codes for when the app is lost."""

import json
import secrets
import unicodedata
from datetime import timedelta
from typing import NamedTuple

import pyotp
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from pyotp.utils import strings_equal
from sqlmodel import Session, col, select

from server.domain import audit, letters
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.locks import lock_user
from server.domain.people import users
from server.errors import Conflict, Gone, Invalid, RateLimited, Unauthenticated
from server.hashing import token_hash
from server.mailer import Mailer
from server.models import PendingSignIn, RecoveryCode, SecondFactor, User
from server.models.base import now, was_within
from server.principal import Principal
from server.storage.statements import count_rows
from server.text.characters import normalize

ISSUER = "SelfMemory"
STEP_SECONDS = 30
DAY = timedelta(days=1)
CODE_DIGITS = 6
STEPS_AROUND = (0, -1, 1)
"""The accepted time steps, relative to the current one, because clocks differ and typing takes time (RFC 6238 section
5.2).
"""

SET_UP_SECONDS = 1800
FAILURES_A_DAY = 100
"""After this many wrong codes, codes of the app are refused for the rest of the day. Recovery codes still work.

Three of a million codes are valid at any time, so 100 guesses a day succeed about once in nine years.
"""

NOTICED_FAILURES = 10
"""After this many wrong codes the user gets a letter, because somebody knows the password."""

RECOVERY_CODES = 10
RECOVERY_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: letters that look like digits are left out."""

RECOVERY_LENGTH = 16
"""A code has 80 random bits, so that its hash in a stolen database does not help anybody guess it."""


class AlreadyOn(Conflict):
    sentence = "Two-factor authentication is already on."


class NotOn(Conflict):
    sentence = "Two-factor authentication is off."


class AppLost(Unauthenticated):
    sentence = "Codes of your app no longer work, because the server's secret key has changed. Use a recovery code."


class SetUpEnded(Gone):
    sentence = "This setup has expired. Start again."


class Proposal(NamedTuple):
    """A secret that is not in use yet. The form carries it as `sealed`, so that it is stored only when confirmed."""

    secret: str
    uri: str
    sealed: str


class Status(NamedTuple):
    """A user's second factor, if there is one, and the number of unused recovery codes."""

    factor: SecondFactor | None
    recovery_codes: int


def is_on(session: Session, user_id: str) -> bool:
    """Return whether the user must prove a second factor at sign-in."""
    query = select(SecondFactor.user_id).where(SecondFactor.user_id == user_id)
    return session.exec(query).one_or_none() is not None


def status(session: Session, principal: Principal) -> Status:
    """Return the principal's own status. Raises Forbidden for a key or token."""
    require_session(principal)
    factor = session.get(SecondFactor, principal.user_id, populate_existing=True)
    return Status(factor, count_rows(session, RecoveryCode, _is_of(RecoveryCode, principal.user_id)))


def propose(session: Session, principal: Principal, seal: Fernet) -> Proposal:
    """Return a new secret for the principal's app. Raises AlreadyOn."""
    require_session(principal)
    if is_on(session, principal.user_id):
        raise AlreadyOn
    return _proposal(users.me(session, principal), pyotp.random_base32(), seal)


def proposed(session: Session, principal: Principal, sealed: str, seal: Fernet) -> Proposal:
    """Return the proposal that a form sent back. Raises SetUpEnded if it is over half an hour old or another user's."""
    require_session(principal)
    return _proposal(users.me(session, principal), _open(principal.user_id, sealed, seal), seal)


def turn_on(session: Session, principal: Principal, sealed: str, code: str, seal: Fernet, mailer: Mailer) -> list[str]:
    """Turn the second factor on with a code of the app, and end the user's other sessions, which a password alone may
    have begun. Return the recovery codes, which are shown only once.

    Raises Invalid for a wrong code, SetUpEnded, AlreadyOn.
    """
    user = users.locked_me(session, principal)
    if is_on(session, user.id):
        raise AlreadyOn
    secret = _open(user.id, sealed, seal)
    step = _step_of(secret, code, after=-1)
    if step is None:
        raise Invalid("this code is wrong. Enter the newest code from the app.", field="code")
    session.add(SecondFactor(user_id=user.id, sealed_secret=seal.encrypt(secret.encode()), last_step=step))
    users.end_sessions(session, user.id, kept_id=principal.credential_id)
    audit.record_account_event(session, Event.SECOND_FACTOR_ADDED, user.id)
    letters.send_security_notice(session, mailer, user, "Two-factor authentication was turned on.")
    return _new_recovery_codes(session, user.id)


def renew_recovery_codes(session: Session, principal: Principal, mailer: Mailer) -> list[str]:
    """Replace all recovery codes and return the new ones. Raises NotOn."""
    user = users.locked_me(session, principal)
    if not is_on(session, user.id):
        raise NotOn
    audit.record_account_event(session, Event.RECOVERY_CODES_RENEWED, user.id)
    letters.send_security_notice(
        session, mailer, user, "New recovery codes were created. The earlier ones no longer work."
    )
    return _new_recovery_codes(session, user.id)


def turn_off(session: Session, principal: Principal, mailer: Mailer) -> None:
    """Remove the app and the recovery codes. Raises NotOn."""
    user = users.locked_me(session, principal)
    if not remove(session, user):
        raise NotOn
    letters.send_security_notice(session, mailer, user, "Two-factor authentication was turned off.")


def remove(session: Session, user: User) -> bool:
    """Remove the user's second factor without asking for a code. Return whether there was one."""
    if not is_on(session, user.id):
        return False
    for table in (SecondFactor, RecoveryCode, PendingSignIn):
        session.execute(sa.delete(table).where(_is_of(table, user.id)))
    audit.record_account_event(session, Event.SECOND_FACTOR_REMOVED, user.id)
    return True


def check(session: Session, user: User, code: str, seal: Fernet, mailer: Mailer) -> bool:
    """Use up a code of the app or a recovery code. Return whether it was right. A wrong code of the app is counted.

    Commit after False, so that the count stays. Raises RateLimited after too many wrong codes, AppLost.
    """
    lock_user(session, user.id)
    typed = _normalized(code)
    if len(typed) == RECOVERY_LENGTH:
        return _use_recovery_code(session, user, typed, mailer)
    factor = session.get(SecondFactor, user.id, populate_existing=True)
    if factor is None:
        return False
    _require_tries_left(factor)
    step = _step_of(_secret_of(factor, seal), typed, after=factor.last_step)
    if step is None:
        _count_failure(session, user, factor, mailer)
        return False
    factor.last_step = step
    return True


def _proposal(user: User, secret: str, seal: Fernet) -> Proposal:
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.email or user.id, issuer_name=ISSUER)
    sealed = seal.encrypt(json.dumps([user.id, secret]).encode()).decode()
    return Proposal(secret, uri, sealed)


def _open(user_id: str, sealed: str, seal: Fernet) -> str:
    try:
        owner_id, secret = json.loads(seal.decrypt(sealed.encode(), ttl=SET_UP_SECONDS))
    except InvalidToken:
        raise SetUpEnded from None
    if owner_id != user_id:
        raise SetUpEnded
    return str(secret)


def _secret_of(factor: SecondFactor, seal: Fernet) -> str:
    """Return the app's secret. Raises AppLost if SECRET_KEY has changed. Then only recovery codes work."""
    try:
        return seal.decrypt(factor.sealed_secret).decode()
    except InvalidToken:
        raise AppLost from None


def _step_of(secret: str, code: str, *, after: int) -> int | None:
    """Return the time step of the code, if the step is current and later than `after`."""
    typed = _normalized(code)
    if len(typed) != CODE_DIGITS:
        return None
    current, otp = current_step(), pyotp.TOTP(secret)
    matching = [current + offset for offset in STEPS_AROUND if strings_equal(otp.generate_otp(current + offset), typed)]
    is_of_later_clock = after - current > DAY.total_seconds() / STEP_SECONDS
    return next((step for step in matching if step > after or is_of_later_clock), None)


def current_step() -> int:
    """Return the number of the current time step (RFC 6238)."""
    return int(now().timestamp()) // STEP_SECONDS


def _require_tries_left(factor: SecondFactor) -> None:
    if factor.failures >= FAILURES_A_DAY and was_within(factor.failures_since, DAY):
        left = DAY - (now() - factor.failures_since)
        raise RateLimited(int(left.total_seconds()) + 1, limit="second_factor")


def _count_failure(session: Session, user: User, factor: SecondFactor, mailer: Mailer) -> None:
    if not was_within(factor.failures_since, DAY):
        factor.failures, factor.failures_since = 0, now()
    factor.failures += 1
    audit.record_account_event(session, Event.SECOND_FACTOR_FAILED, user.id)
    if factor.failures == NOTICED_FAILURES:
        happened = "Somebody entered your password, and then several wrong authenticator codes."
        letters.send_security_notice(session, mailer, user, happened)


def _new_recovery_codes(session: Session, user_id: str) -> list[str]:
    session.execute(sa.delete(RecoveryCode).where(_is_of(RecoveryCode, user_id)))
    codes = ["".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user_id, code_hash=token_hash(code)) for code in codes)
    return ["-".join(code[start : start + 4] for start in range(0, RECOVERY_LENGTH, 4)) for code in codes]


def _use_recovery_code(session: Session, user: User, typed: str, mailer: Mailer) -> bool:
    """Delete the code, so that only one of several simultaneous requests succeeds."""
    is_it = (_is_of(RecoveryCode, user.id), col(RecoveryCode.code_hash) == token_hash(typed))
    used = session.execute(sa.delete(RecoveryCode).where(*is_it).returning(col(RecoveryCode.id))).scalar_one_or_none()
    audit.record_account_event(session, Event.RECOVERY_CODE_USED if used else Event.SECOND_FACTOR_FAILED, user.id)
    if used:
        letters.send_security_notice(session, mailer, user, "One of your recovery codes was used.")
    return used is not None


def _is_of(
    table: type[SecondFactor] | type[RecoveryCode] | type[PendingSignIn], user_id: str
) -> sa.ColumnElement[bool]:
    return col(table.user_id) == user_id


def _normalized(code: str) -> str:
    """Return the letters and digits of the code, the digits in ASCII.

    Keyboards also write full-width and Arabic digits, and what is pasted has other hyphens and invisible marks.
    """
    characters = (str(unicodedata.decimal(each, each)) for each in normalize("NFKC", code) if each.isalnum())
    return "".join(characters).lower()
