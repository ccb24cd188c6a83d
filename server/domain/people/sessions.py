"""Browser sessions: signing in with one or two steps, signing out, and the list of a user's sessions."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from cryptography.fernet import Fernet
from sqlmodel import Session, col, select

from server.domain import audit, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.credentials import IDLE_TIMEOUT
from server.domain.locks import lock_user
from server.domain.people import second_factors, users
from server.domain.retention import keep_first
from server.errors import NotFound, Unauthenticated
from server.hashing import SECOND_STEP_PREFIX, SESSION_PREFIX, new_token, token_hash
from server.mailer import Mailer
from server.models import BrowserSession, PendingSignIn, User
from server.models.base import now
from server.principal import Principal

USER_AGENT_LENGTH = 200
SECOND_STEP_TIME = timedelta(minutes=10)
"""The time between the password and the second factor at sign-in."""

TRIES = 5
"""After this many wrong codes, the user must enter the password again."""

STEP_ENDED = "Your sign-in took too long, or had too many wrong codes. Sign in again."
MAX_PENDING = 10
"""Maximum number of a user's sign-ins that wait for a code. A new one replaces the oldest."""

MAX_SESSIONS = 1_000
"""Maximum number of a user's sessions. A new one replaces the one that was not used for the longest time."""


@dataclass(frozen=True, slots=True)
class BrowserInfo:
    """The browser that signs in.

    `days` is the lifetime of the new session. `previous` is the value of the browser's earlier session, which ends.
    """

    days: int
    user_agent: str = ""
    previous: str | None = None


class SignIn(NamedTuple):
    """The outcome of a sign-in: the value of a new session, or of the second step that is still required."""

    value: str
    needs_second_step: bool = False


def sign_in(session: Session, email: str, password: str, browser: BrowserInfo) -> SignIn | None:
    """Sign in by password. Return None for a wrong password or an unknown address, after the same time."""
    address = names.fold_email(email)
    user = users.by_email(session, address)
    is_right = users.has_password(session, user, password)
    if user is not None and is_right and user.email == address:
        return complete_sign_in(session, user, browser)
    if user is not None:
        reason = "other_address" if is_right else "wrong_password"
        audit.record_account_event(session, Event.SIGN_IN_FAILED, user.id, reason=reason)
    else:
        audit.record(session, Event.SIGN_IN_FAILED, None, None)
        audit.log_account_event(Event.SIGN_IN_FAILED, reason="no_account")
    return None


def complete_sign_in(
    session: Session, user: User, browser: BrowserInfo, *, proved_both_factors: bool = False
) -> SignIn:
    """Sign in a user who proved one factor, or ask for the second step. Every way of signing in ends here.

    Raises Unauthenticated when the account was just deleted.
    """
    if proved_both_factors or not second_factors.is_on(session, user.id):
        audit.record_account_event(session, Event.SIGNED_IN, user.id)
        return SignIn(begin(session, user, browser))
    return SignIn(_begin_second_step(session, user), needs_second_step=True)


def second_step_of(session: Session, value: str) -> User | None:
    query = select(User).join(PendingSignIn, col(PendingSignIn.user_id) == User.id)
    return session.exec(query.where(*_is_pending(value))).one_or_none()


def take_second_step(
    session: Session, value: str, code: str, browser: BrowserInfo, seal: Fernet, mailer: Mailer
) -> SignIn | None:
    """Sign in with a code. Return None for a wrong one. After a few wrong codes, the step ends.

    Commit after None, so that wrong codes count. Raises Unauthenticated when the step has ended, RateLimited.
    """
    user = second_step_of(session, value)
    if user is not None:
        lock_user(session, user.id)
    pending = session.exec(select(PendingSignIn).where(*_is_pending(value))).one_or_none()
    if user is None or pending is None:
        raise Unauthenticated(STEP_ENDED)
    if not second_factors.check(session, user, code, seal, mailer):
        pending.failures += 1
        if pending.failures >= TRIES:
            session.delete(pending)
        return None
    session.delete(pending)
    return complete_sign_in(session, user, browser, proved_both_factors=True)


def begin(session: Session, user: User, browser: BrowserInfo) -> str:
    """Create a session and return its value. Never reuses the value that the browser sent (session fixation).

    Raises Unauthenticated when the account was just deleted.
    """
    _require_account(session, user)
    if browser.previous:
        _end(session, browser.previous)
    own = sa.select(col(BrowserSession.id)).where(col(BrowserSession.user_id) == user.id)
    last_used_first = own.order_by(col(BrowserSession.last_seen_at).desc(), col(BrowserSession.id).desc())
    keep_first(session, BrowserSession, last_used_first, MAX_SESSIONS - 1)
    value = new_token(SESSION_PREFIX)
    moment = now()
    session.add(
        BrowserSession(
            user_id=user.id,
            token_hash=token_hash(value),
            user_agent=browser.user_agent[:USER_AGENT_LENGTH],
            verified_at=moment,
            expires_at=moment + timedelta(days=browser.days),
        )
    )
    return value


def sign_out(session: Session, value: str) -> None:
    """End the session with this value, if there is one."""
    user_id = _end(session, value)
    if user_id is not None:
        audit.record_account_event(session, Event.SIGNED_OUT, user_id)


def list_own(session: Session, principal: Principal) -> list[BrowserSession]:
    """Return the principal's live sessions, newest first. Raises Forbidden for a key or token."""
    require_session(principal)
    moment = now()
    query = select(BrowserSession).where(
        BrowserSession.user_id == principal.user_id,
        BrowserSession.expires_at > moment,
        BrowserSession.last_seen_at > moment - IDLE_TIMEOUT,
    )
    return list(session.exec(query.order_by(col(BrowserSession.id).desc())))


def revoke(session: Session, principal: Principal, session_id: str) -> None:
    """End one of the principal's own sessions. Raises NotFound, Forbidden for a key or token."""
    require_session(principal)
    query = select(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.user_id == principal.user_id)
    browser_session = session.exec(query).one_or_none()
    if browser_session is None:
        raise NotFound("Session not found.")
    session.delete(browser_session)
    audit.record_account_event(session, Event.SESSION_REVOKED, principal.user_id, session_id)


def _require_account(session: Session, user: User) -> None:
    """Lock the account, so that it cannot be deleted before the commit. Raises Unauthenticated if it is gone."""
    lock_user(session, user.id)
    session.refresh(user, ["deleted_at"])
    if user.deleted_at is not None:
        raise Unauthenticated


def _begin_second_step(session: Session, user: User) -> str:
    """Begin a second step and return the value that identifies it."""
    _require_account(session, user)
    pending = sa.select(col(PendingSignIn.id)).where(col(PendingSignIn.user_id) == user.id)
    keep_first(session, PendingSignIn, pending.order_by(col(PendingSignIn.id).desc()), MAX_PENDING - 1)
    value = new_token(SECOND_STEP_PREFIX)
    session.add(PendingSignIn(user_id=user.id, token_hash=token_hash(value), expires_at=now() + SECOND_STEP_TIME))
    return value


def _is_pending(value: str) -> tuple[sa.ColumnElement[bool], ...]:
    return col(PendingSignIn.token_hash) == token_hash(value), col(PendingSignIn.expires_at) > now()


def _end(session: Session, value: str) -> str | None:
    """Delete the session with this value and return its user's id."""
    deletion = sa.delete(BrowserSession).where(col(BrowserSession.token_hash) == token_hash(value))
    return session.execute(deletion.returning(col(BrowserSession.user_id))).scalar_one_or_none()
