"""Step-up: before a sensitive change, a signed-in user confirms their identity again."""

from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlmodel import Session, col

from server.domain import audit
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.people import identities, passkeys, second_factors, users
from server.domain.people.passkeys import Answer
from server.domain.people.second_factors import AppLost
from server.errors import Forbidden, Invalid
from server.mailer import Mailer
from server.models import BrowserSession
from server.models.base import now, was_within
from server.principal import Principal

FRESH = timedelta(minutes=10)
"""How long a proof is valid, in the session in which it was given. Signing in is a proof too."""


class ProofNeeded(Forbidden):
    sentence = "Confirm that it is you. Nothing was changed yet."


class WrongProof(Invalid):
    sentence = "This is not your password or code. Nothing was changed."


class Ways(NamedTuple):
    """How a user can confirm their identity."""

    has_password: bool
    has_second_factor: bool
    has_passkey: bool
    has_identity: bool


def is_fresh(session: Session, principal: Principal) -> bool:
    """Return whether this session has a proof from the last ten minutes."""
    require_session(principal)
    verified_at = session.execute(
        sa.select(col(BrowserSession.verified_at)).where(col(BrowserSession.id) == principal.credential_id)
    ).scalar_one_or_none()
    return verified_at is not None and was_within(verified_at, FRESH)


def ways_of(session: Session, principal: Principal) -> Ways:
    require_session(principal)
    user = users.me(session, principal)
    return Ways(
        user.password_hash is not None,
        second_factors.is_on(session, user.id),
        bool(passkeys.list_own(session, principal)),
        bool(identities.list_own(session, principal)),
    )


def prove(session: Session, principal: Principal, password: str, code: str, seal: Fernet, mailer: Mailer) -> bool:
    """Check the password, or the code if there is no password. If it is correct, record the time in the session.

    Commit after False, so that wrong codes count. Raises RateLimited after too many wrong codes, and WrongProof when no
    code of the app can be checked.
    """
    require_session(principal)
    user = users.me(session, principal)
    if password:
        is_right = users.has_password(session, user, password)
    else:
        try:
            is_right = second_factors.check(session, user, code, seal, mailer)
        except AppLost as error:
            raise WrongProof(error.detail) from None
    if is_right:
        note(session, principal)
    else:
        audit.record_account_event(session, Event.STEP_UP_FAILED, user.id)
    return is_right


def prove_by_passkey(session: Session, principal: Principal, answer: Answer) -> bool:
    """Use up the answer of one of the principal's own passkeys, and record the time in the session.

    Raises PasskeyRefused for an answer that was used before.
    """
    require_session(principal)
    is_right = passkeys.use(session, answer).user_id == principal.user_id
    if is_right:
        note(session, principal)
    else:
        audit.record_account_event(session, Event.STEP_UP_FAILED, principal.user_id)
    return is_right


def note(session: Session, principal: Principal) -> None:
    """Record in the session that the user has just confirmed their identity."""
    session.execute(
        sa.update(BrowserSession).where(col(BrowserSession.id) == principal.credential_id).values(verified_at=now())
    )
