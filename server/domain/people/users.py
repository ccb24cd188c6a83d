"""Users: a person with a personal organization and a first project from the start."""

from sqlmodel import Session, select

from server.domain import names, notifications
from server.domain.access import require_session
from server.domain.audit import Event, record_account_event
from server.domain.constraints import EmailTaken, flush_or_conflict
from server.domain.notifications import Notice
from server.errors import Invalid, Unauthenticated
from server.models import Invitation, Organization, Project, ProjectMember, ProjectRole, User
from server.models.base import now
from server.models.invitations import InvitationStatus
from server.models.organizations import OrganizationKind
from server.principal import Principal

PERSONAL = "Personal"
FIRST_PROJECT = "My Memories"


def register(session: Session, email: str, name: str, password_hash: str | None, *, verified: bool = False) -> User:
    """A new account with its personal organization and first project.

    `password_hash` None: no sign-in until a password is set. Raises Invalid, EmailTaken.
    """
    address = names.parse_email(email)
    if by_email(session, address) is not None:
        raise EmailTaken
    user = User(
        email=address, name=names.parse_person_name(name) or address.partition("@")[0], password_hash=password_hash
    )
    user.email_verified_at = now() if verified else None
    flush_or_conflict(session, user)
    place = Organization(
        name=PERSONAL, name_key=names.key_of(PERSONAL), kind=OrganizationKind.PERSONAL, owner_id=user.id
    )
    flush_or_conflict(session, place)
    add_project(session, place, user, FIRST_PROJECT)
    record_account_event(session, Event.SIGNED_UP, user.id, user.id)
    return user


def by_email(session: Session, email: str) -> User | None:
    """The account with this normalised address."""
    return session.exec(select(User).where(User.email == email)).one_or_none()


def me(session: Session, principal: Principal) -> User:
    """The user who asks, with any credential, as it is now."""
    user = session.get(User, principal.user_id, populate_existing=True)
    if user is None or user.deleted_at is not None:
        raise Unauthenticated(presented=True)
    return user


def has_any(session: Session) -> bool:
    """Whether anybody ever made an account here."""
    return session.exec(select(User.id).limit(1)).first() is not None


def rename(session: Session, principal: Principal, name: str) -> User:
    """Change one's own name. Sessions only. Raises Invalid."""
    require_session(principal)
    cleaned = names.parse_person_name(name)
    if not cleaned:
        raise Invalid("write a name.", field="name")
    user = me(session, principal)
    user.name, user.updated_at = cleaned, now()
    return user


def add_project(session: Session, place: Organization, user: User, name: str) -> Project:
    """A project with its creator as admin. Raises ProjectNameTaken."""
    project = Project(organization_id=place.id, name=name, name_key=names.key_of(name), created_by=user.id)
    flush_or_conflict(session, project)
    flush_or_conflict(session, ProjectMember(project_id=project.id, user_id=user.id, role=ProjectRole.ADMIN))
    return project


def verify_email(session: Session, user: User) -> None:
    """The mailbox has been shown to be this person's: now the invitations that wait for it may be seen."""
    if user.email_verified_at is not None:
        return
    user.email_verified_at = now()
    record_account_event(session, Event.EMAIL_VERIFIED, user.id)
    waiting = select(Invitation, Organization).join(Organization).where(
        Invitation.email == user.email, Invitation.status == InvitationStatus.PENDING, Invitation.expires_at > now()
    )  # fmt: skip
    for invitation, place in session.exec(waiting):
        notify_invited(session, user, invitation, place.name)


def notify_invited(session: Session, user: User, invitation: Invitation, place: str) -> None:
    notifications.notify(
        session,
        [user.id],
        Notice.INVITATION_RECEIVED,
        f"Invitation to {place}",
        f"You are invited to {place}.",
        invitation_id=invitation.id,
        organization_id=invitation.organization_id,
    )
