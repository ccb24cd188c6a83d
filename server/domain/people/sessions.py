"""Sessions: signing in and out, and the list of where one is signed in."""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.database import paused
from server.domain import audit, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.credentials import IDLE_TIMEOUT
from server.domain.locks import lock_user
from server.domain.people import users
from server.errors import NotFound, Unauthenticated
from server.hashing import SESSION_PREFIX, new_token, password_matches, token_hash
from server.models import BrowserSession, User
from server.models.base import now
from server.principal import Principal

LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class BrowserInfo:
    """The browser that asks: how long a session may last, and the session that it held before, which ends."""

    days: int
    user_agent: str = ""
    previous: str | None = None


def sign_in(session: Session, email: str, password: str, visit: BrowserInfo) -> str | None:
    """The value of a new session; None, in the same time, for a wrong password and for an unknown address."""
    user = users.by_email(session, names.fold_email(email))
    stored = user.password_hash if user else None
    with paused(session):
        matches = password_matches(stored, password)
    if user is not None and matches:
        session.refresh(user)
        if user.password_hash == stored:
            audit.record_account_event(session, Event.SIGNED_IN, user.id)
            return begin(session, user, visit)
    if user is not None:
        audit.record_account_event(session, Event.SIGN_IN_FAILED, user.id)
    else:
        audit.record(session, Event.SIGN_IN_FAILED, None, None)
    return None


def begin(session: Session, user: User, visit: BrowserInfo) -> str:
    """The value of a new session: never one that the browser brought along.

    Raises Unauthenticated when the account was deleted at this moment.
    """
    lock_user(session, user.id)
    session.refresh(user, ["deleted_at"])
    if user.deleted_at is not None:
        raise Unauthenticated
    if visit.previous:
        _end(session, visit.previous)
    value, moment = new_token(SESSION_PREFIX), now()
    expires, agent = moment + timedelta(days=visit.days), visit.user_agent[:LONGEST_AGENT]
    session.execute(
        sa.delete(BrowserSession).where(
            col(BrowserSession.user_id) == user.id, col(BrowserSession.expires_at) <= moment
        )
    )
    session.add(BrowserSession(user_id=user.id, token_hash=token_hash(value), user_agent=agent, expires_at=expires))
    return value


def sign_out(session: Session, value: str) -> None:
    """End the session of this value, if there is one."""
    user_id = _end(session, value)
    if user_id is not None:
        audit.record_account_event(session, Event.SIGNED_OUT, user_id)


def list_own(session: Session, principal: Principal) -> list[BrowserSession]:
    """Where one is signed in, the newest first. Sessions only."""
    require_session(principal)
    moment = now()
    mine = select(BrowserSession).where(
        BrowserSession.user_id == principal.user_id,
        BrowserSession.expires_at > moment,
        BrowserSession.last_seen_at > moment - IDLE_TIMEOUT,
    )
    return list(session.exec(mine.order_by(col(BrowserSession.id).desc())))


def revoke(session: Session, principal: Principal, session_id: str) -> None:
    """End one of one's own sessions. Raises NotFound."""
    require_session(principal)
    mine = select(BrowserSession).where(BrowserSession.id == session_id, BrowserSession.user_id == principal.user_id)
    found = session.exec(mine).one_or_none()
    if found is None:
        raise NotFound("Session not found.")
    session.delete(found)
    audit.record_account_event(session, Event.SESSION_REVOKED, principal.user_id, session_id)


def end_all(session: Session, user_id: str) -> None:
    session.execute(sa.delete(BrowserSession).where(col(BrowserSession.user_id) == user_id))


def _end(session: Session, value: str) -> str | None:
    ended = (
        sa.delete(BrowserSession)
        .where(col(BrowserSession.token_hash) == token_hash(value))
        .returning(col(BrowserSession.user_id))
    )
    return session.execute(ended).scalar_one_or_none()
