"""Identities: accounts at the identity provider, with which users sign in to their accounts here."""

from sqlmodel import Session, col, select

from server.domain import audit
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.models import Identity, User
from server.models.base import now
from server.principal import ExternalIdentity, Principal


def user_of(session: Session, external: ExternalIdentity) -> User | None:
    """Return the user that the identity belongs to, and record its use."""
    query = select(Identity).where(Identity.issuer == external.issuer, Identity.subject == external.subject)
    identity = session.exec(query).one_or_none()
    if identity is None:
        return None
    identity.last_used_at = now()
    return session.get(User, identity.user_id)


def join(session: Session, user: User, external: ExternalIdentity) -> None:
    """Let the identity sign in to the user's account. Raises IdentityTaken if another request has just joined it."""
    identity = Identity(user_id=user.id, issuer=external.issuer, subject=external.subject)
    flush_or_conflict(session, identity)
    audit.record_account_event(session, Event.IDENTITY_JOINED, user.id, identity.id, issuer=external.issuer)


def list_own(session: Session, principal: Principal) -> list[Identity]:
    """Return the principal's identities, oldest first. Raises Forbidden for a key or token."""
    require_session(principal)
    query = select(Identity).where(Identity.user_id == principal.user_id).order_by(col(Identity.id))
    return list(session.exec(query))
