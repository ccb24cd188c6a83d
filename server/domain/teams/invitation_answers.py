"""Invitations from the side of whoever is invited: looking at one, accepting, declining.

A `handle` is the token of the link or, for the invited account itself, the id from its pending list.
"""

from typing import NamedTuple

from sqlmodel import Session, select

from server.domain import audit, notifications
from server.domain.access import (
    ORGANIZATION_ACTIONS,
    PROJECT_ACTIONS,
    require_session,
)
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization, lock_user
from server.domain.notifications import Notice
from server.domain.people import users
from server.domain.teams import invitations
from server.errors import Forbidden, Gone, NotFound
from server.hashing import token_hash
from server.models import (
    Invitation,
    InvitationProject,
    Organization,
    OrganizationMember,
    OrganizationRole,
    Project,
    ProjectMember,
    ProjectRole,
    User,
)
from server.models.invitations import InvitationStatus
from server.principal import Principal

ID_PREFIX = "inv_"


class AnotherAccount(Forbidden):
    sentence = "This invitation names another e-mail address: sign in with the account of that address."


class InvitationEnded(Gone):
    def __init__(self, how: str) -> None:
        super().__init__(f"This invitation {how}.")


class Offer(NamedTuple):
    """An invitation in words; `role` is the project's where it invites to one project."""

    invitation: Invitation
    organization_name: str
    project_name: str | None
    role: str
    invited_by: str


class AcceptedInvitation(NamedTuple):
    """What accepting brought: `projects_added` is how many projects are new."""

    organization: Organization
    role: str
    projects_added: int


def show(session: Session, principal: Principal | None, handle: str) -> Offer:
    """What an open invitation offers. Raises NotFound, InvitationEnded."""
    invitation = _find(session, principal, handle)
    _require_open(session, invitation)
    return _offer(session, invitation)


def list_pending(session: Session, principal: Principal) -> list[Offer]:
    """What waits for one's own address, once it is known to be one's own. Sessions only."""
    require_session(principal)
    user = users.me(session, principal)
    if user.email is None or user.email_verified_at is None:
        return []
    return [_offer(session, invitation) for invitation in invitations.pending_for(session, user.email)]


def accept(session: Session, principal: Principal, handle: str) -> AcceptedInvitation:
    """Join: a role that one has already is never lowered. Raises NotFound, InvitationEnded, AnotherAccount."""
    invitation, user = _mine(session, principal, handle)
    place = session.get_one(Organization, invitation.organization_id)
    invitation.status = InvitationStatus.ACCEPTED
    if not handle.startswith(ID_PREFIX):
        users.verify_email(session, user)
    _join(session, place, user, invitation.role)
    brings = session.exec(select(InvitationProject).where(InvitationProject.invitation_id == invitation.id)).all()
    added = sum(_join_project(session, one, user) for one in brings)
    offer = _offer(session, invitation)
    audit.record(session, Event.INVITATION_ACCEPTED, user.id, place.id, invitation.id, role=offer.role)
    notifications.notify(
        session, [invitation.invited_by], Notice.INVITATION_ACCEPTED, f"{user.name} joined {place.name}",
        f"{user.name} accepted your invitation to {offer.project_name or place.name}.",
        organization_id=place.id, user_id=user.id,
    )  # fmt: skip
    return AcceptedInvitation(place, offer.role, added)


def decline(session: Session, principal: Principal, handle: str) -> None:
    """Raises NotFound, InvitationEnded, AnotherAccount."""
    invitation, user = _mine(session, principal, handle)
    invitation.status = InvitationStatus.DECLINED
    audit.record(session, Event.INVITATION_DECLINED, user.id, invitation.organization_id, invitation.id)


def _mine(session: Session, principal: Principal, handle: str) -> tuple[Invitation, User]:
    """An open invitation to the principal's own address, its organization locked."""
    require_session(principal)
    lock_user(session, principal.user_id)
    lock_organization(session, _find(session, principal, handle).organization_id)
    invitation = _find(session, principal, handle)
    _require_open(session, invitation)
    user = users.me(session, principal)
    if user.email != invitation.email:
        raise AnotherAccount
    return invitation, user


def _find(session: Session, principal: Principal | None, handle: str) -> Invitation:
    query = select(Invitation).execution_options(populate_existing=True)
    if handle.startswith(ID_PREFIX):
        user = users.me(session, principal) if principal is not None and principal.is_session else None
        if user is None or user.email_verified_at is None:
            raise NotFound("Invitation not found.")
        query = query.where(Invitation.id == handle, Invitation.email == user.email)
    else:
        query = query.where(Invitation.token_hash == token_hash(handle))
    found = session.exec(query).one_or_none()
    if found is None:
        raise NotFound("Invitation not found.")
    return found


def _require_open(session: Session, invitation: Invitation) -> None:
    how = invitations.how_ended(session, invitation)
    if how is not None:
        raise InvitationEnded(how)


def _join(session: Session, place: Organization, user: User, role: OrganizationRole) -> None:
    if user.id == place.owner_id:
        return
    member = session.get(OrganizationMember, (place.id, user.id))
    if member is None:
        flush_or_conflict(session, OrganizationMember(organization_id=place.id, user_id=user.id, role=role))
        audit.record(session, Event.MEMBER_JOINED, user.id, place.id, user.id, role=role)
    elif ORGANIZATION_ACTIONS[OrganizationRole(member.role)] < ORGANIZATION_ACTIONS[OrganizationRole(role)]:
        member.role = role


def _join_project(session: Session, brought: InvitationProject, user: User) -> bool:
    """Whether the project is new to the user."""
    member = session.get(ProjectMember, (brought.project_id, user.id))
    if member is None:
        flush_or_conflict(session, ProjectMember(project_id=brought.project_id, user_id=user.id, role=brought.role))
        return True
    if PROJECT_ACTIONS[ProjectRole(member.role)] < PROJECT_ACTIONS[ProjectRole(brought.role)]:
        member.role = brought.role
    return False


def _offer(session: Session, invitation: Invitation) -> Offer:
    place = session.get_one(Organization, invitation.organization_id)
    inviter = session.get_one(User, invitation.invited_by)
    role, project_name = str(invitation.role), None
    if invitation.project_id is not None:
        project_name = session.get_one(Project, invitation.project_id).name
        role = session.get_one(InvitationProject, (invitation.id, invitation.project_id)).role
    return Offer(invitation, place.name, project_name, role, inviter.name)
