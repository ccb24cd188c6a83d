"""Users: each starts with a personal organization and a first project."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import names, notifications
from server.domain.access import require_session
from server.domain.audit import Event, record_account_event
from server.domain.constraints import EmailTaken, flush_or_conflict
from server.domain.credentials import require_kept
from server.domain.locks import lock_user
from server.domain.notifications import Notice
from server.errors import Invalid, NotFound, Unauthenticated
from server.hashing import password_matches
from server.models import (
    BrowserSession,
    Invitation,
    Organization,
    PendingSignIn,
    Project,
    ProjectMember,
    ProjectRole,
    User,
)
from server.models.base import now
from server.models.invitations import InvitationStatus
from server.models.organizations import OrganizationKind
from server.principal import Principal
from server.storage.database import paused

PERSONAL_NAME = "Personal"
FIRST_PROJECT = "My Memories"


class NoAccount(NotFound):
    sentence = "There is no account with this email address."


def register(session: Session, email: str, name: str, password_hash: str | None, *, verified: bool = False) -> User:
    """Create an account with its personal organization and first project.

    If `password_hash` is None, nobody can sign in by password until one is set. Raises Invalid, EmailTaken.
    """
    address = names.parse_email(email)
    if by_email(session, address) is not None:
        raise EmailTaken
    user = User(
        email=address, name=names.parse_person_name(name) or address.partition("@")[0], password_hash=password_hash
    )
    user.email_verified_at = now() if verified else None
    flush_or_conflict(session, user)
    organization = Organization(
        name=PERSONAL_NAME, name_key=names.key_of(PERSONAL_NAME), kind=OrganizationKind.PERSONAL, owner_id=user.id
    )
    flush_or_conflict(session, organization)
    add_project(session, organization, user, FIRST_PROJECT)
    record_account_event(session, Event.SIGNED_UP, user.id, user.id)
    return user


def by_email(session: Session, email: str) -> User | None:
    """Return the account with this normalized address."""
    return session.exec(select(User).where(User.email == email)).one_or_none()


def locked_by_email(session: Session, email: str) -> User | None:
    """Like `by_email`, and lock the account, so that it keeps the address until the commit."""
    user = by_email(session, email)
    if user is None:
        return None
    lock_user(session, user.id)
    session.refresh(user)
    return user if user.email == email else None


def require_by_email(session: Session, email: str) -> User:
    """Like `by_email`. Raises NoAccount."""
    user = by_email(session, email)
    if user is None:
        raise NoAccount
    return user


def me(session: Session, principal: Principal) -> User:
    """Return the principal's user, read again from the database. Raises Unauthenticated for a deleted account."""
    user = session.get(User, principal.user_id, populate_existing=True)
    if user is None or user.deleted_at is not None:
        raise Unauthenticated(reason="account_deleted")
    return user


def locked_me(session: Session, principal: Principal) -> User:
    """Like `me`, and lock the account, so that it cannot be deleted before the commit.

    Raises Forbidden for a key or token, and CredentialEnded if the session has ended, perhaps while this call waited
    for the lock.
    """
    require_session(principal)
    lock_user(session, principal.user_id)
    require_kept(session, principal)
    return me(session, principal)


def end_sessions(session: Session, user_id: str, *, kept_id: str | None = None) -> None:
    """Delete the user's sessions, except the one with `kept_id`, and the user's pending sign-ins."""
    is_ended = (col(BrowserSession.user_id) == user_id, col(BrowserSession.id).is_distinct_from(kept_id))
    session.execute(sa.delete(BrowserSession).where(*is_ended))
    session.execute(sa.delete(PendingSignIn).where(col(PendingSignIn.user_id) == user_id))


def names_of(session: Session, _principal: Principal, user_ids: Collection[str | None]) -> dict[str, str]:
    """Return people's names by user id, without deleted accounts. Does not check permissions: pass only ids from rows
    that the principal may see.
    """
    wanted_ids = sorted({user_id for user_id in user_ids if user_id})
    query = sa.select(col(User.id), col(User.name)).where(col(User.id).in_(wanted_ids), col(User.name) != "")
    return {row.id: row.name for row in session.execute(query)}


def has_password(session: Session, user: User | None, password: str) -> bool:
    """Return whether it is the user's password. If it is, lock the account, so that it stays the password until the
    commit. Checking is slow, so the transaction is paused. Takes as long without a user.
    """
    stored_hash = user.password_hash if user else None
    with paused(session):
        matches = password_matches(stored_hash, password)
    if user is None or not matches:
        return False
    lock_user(session, user.id)
    session.refresh(user)
    return user.password_hash == stored_hash


def has_any(session: Session) -> bool:
    """Return whether an account was ever created on this server."""
    return session.exec(select(User.id).limit(1)).first() is not None


def rename(session: Session, principal: Principal, name: str) -> User:
    """Change the principal's own name. Raises Invalid, Forbidden for a key or token."""
    require_session(principal)
    cleaned = names.parse_person_name(name)
    if not cleaned:
        raise Invalid("enter a name.", field="name")
    user = me(session, principal)
    user.name = cleaned
    user.updated_at = now()
    return user


def add_project(session: Session, organization: Organization, user: User, name: str) -> Project:
    """Create a project with `user` as its admin. Raises ProjectNameTaken."""
    project = Project(organization_id=organization.id, name=name, name_key=names.key_of(name), created_by=user.id)
    flush_or_conflict(session, project)
    flush_or_conflict(session, ProjectMember(project_id=project.id, user_id=user.id, role=ProjectRole.ADMIN))
    return project


def verify_email(session: Session, user: User) -> None:
    """Mark the address as confirmed, and notify the user of the pending invitations to it."""
    if user.email_verified_at is not None:
        return
    user.email_verified_at = now()
    record_account_event(session, Event.EMAIL_VERIFIED, user.id)
    pending = select(Invitation, Organization).join(Organization).where(
        Invitation.email == user.email, Invitation.status == InvitationStatus.PENDING, Invitation.expires_at > now()
    )  # fmt: skip
    for invitation, organization in session.exec(pending):
        notify_invited(session, user, invitation, organization.name)


def notify_invited(session: Session, user: User, invitation: Invitation, organization_name: str) -> None:
    notifications.notify(
        session,
        [user.id],
        Notice.INVITATION_RECEIVED,
        f"Invitation to {organization_name}",
        f"You have been invited to the organization “{organization_name}”.",
        topic=f"invitation:{invitation.project_id or invitation.organization_id}",
        invitation_id=invitation.id,
        organization_id=invitation.organization_id,
        actor_id=invitation.invited_by,
    )
