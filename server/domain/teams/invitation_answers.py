"""Invitations as the invited person sees them: reading one, accepting, declining.

A `handle` is the token that the inviter saw, the token in the mailed link or, for the invited account itself, an id
from its list of pending invitations. Any of them can accept; only the mailed token proves who owns the mailbox.
"""

from typing import NamedTuple

from sqlmodel import Session, col, select

from server.domain import audit, notifications
from server.domain.access import ORGANIZATION_ACTIONS, PROJECT_ACTIONS, require_session
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization
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
    sentence = "This invitation is for another email address: sign in with the account of that address."


class UnknownInvitation(NotFound):
    sentence = "Invitation not found."
    title = "Invitation not found"
    advice = (
        "This invitation does not exist, or it is for another account. Check that you opened the whole link, or ask "
        "the person who invited you for a new one."
    )


class InvitationEnded(Gone):
    """`how` is the end of the sentence, such as "has expired"."""

    def __init__(self, how: str) -> None:
        super().__init__(f"This invitation {how}.")


class Offer(NamedTuple):
    """An invitation with the names of its organization, project and inviter.

    `role` is the role in the project for an invitation to one project; `invited_by` is the inviter's name.
    """

    invitation: Invitation
    organization_name: str
    project_name: str | None
    role: str
    invited_by: str


class AcceptedInvitation(NamedTuple):
    """The organization that a person joined. `projects_added` counts the projects that are new to the person."""

    organization: Organization
    role: str
    projects_added: int


def show(session: Session, principal: Principal | None, handle: str) -> Offer:
    """Return the offer of a pending invitation. Raises NotFound, InvitationEnded."""
    invitation = _find(session, principal, handle)
    _require_pending(session, invitation)
    return _offer(session, invitation)


def list_pending(session: Session, principal: Principal) -> list[Offer]:
    """Return the invitations to the principal's own address. The list is empty until the address is confirmed.

    Raises Forbidden for a key or token.
    """
    require_session(principal)
    user = users.me(session, principal)
    if user.email is None or user.email_verified_at is None:
        return []
    return [_offer(session, invitation) for invitation in invitations.pending_for(session, user.email)]


def accept(session: Session, principal: Principal, handle: str) -> AcceptedInvitation:
    """Join the organization and the projects. Never lowers a role that the person already has.

    The mailed token also confirms the address. Raises NotFound, InvitationEnded, AnotherAccount.
    """
    invitation, user = _require_own(session, principal, handle)
    organization = session.get_one(Organization, invitation.organization_id)
    invitation.status = InvitationStatus.ACCEPTED
    if _went_by_mail_alone(invitation, handle):
        users.verify_email(session, user)
    _join_organization(session, organization, user, invitation.role)
    included = session.exec(select(InvitationProject).where(InvitationProject.invitation_id == invitation.id)).all()
    projects_added = sum(_join_project(session, row, user) for row in included)
    offer = _offer(session, invitation)
    audit.record(session, Event.INVITATION_ACCEPTED, user.id, organization.id, invitation.id, role=offer.role)
    joined = f"project “{offer.project_name}”" if offer.project_name else f"organization “{organization.name}”"
    notifications.notify(
        session, [invitation.invited_by], Notice.INVITATION_ACCEPTED, f"{user.name} joined {organization.name}",
        f"{user.name} accepted your invitation to the {joined}.",
        organization_id=organization.id, user_id=user.id, actor_id=user.id,
    )  # fmt: skip
    return AcceptedInvitation(organization, offer.role, projects_added)


def decline(session: Session, principal: Principal, handle: str) -> None:
    """Raises NotFound, InvitationEnded, AnotherAccount."""
    invitation, user = _require_own(session, principal, handle)
    invitation.status = InvitationStatus.DECLINED
    audit.record(session, Event.INVITATION_DECLINED, user.id, invitation.organization_id, invitation.id)


def _require_own(session: Session, principal: Principal, handle: str) -> tuple[Invitation, User]:
    """Return a pending invitation to the principal's own address, and the user. Locks the invitation's organization."""
    user = users.locked_me(session, principal)
    lock_organization(session, _find(session, principal, handle).organization_id)
    invitation = _find(session, principal, handle)
    _require_pending(session, invitation)
    if user.email != invitation.email:
        raise AnotherAccount
    return invitation, user


def _find(session: Session, principal: Principal | None, handle: str) -> Invitation:
    """Return the invitation. Raises NotFound, also for an id if the principal has not confirmed the invited address."""
    query = select(Invitation).execution_options(populate_existing=True)
    if handle.startswith(ID_PREFIX):
        user = users.me(session, principal) if principal is not None and principal.is_session else None
        if user is None or user.email_verified_at is None:
            raise UnknownInvitation
        query = query.where(Invitation.id == handle, Invitation.email == user.email)
    else:
        presented = token_hash(handle)
        query = query.where(
            (col(Invitation.token_hash) == presented) | (col(Invitation.mailed_token_hash) == presented)
        )
    invitation = session.exec(query).one_or_none()
    if invitation is None:
        raise UnknownInvitation
    return invitation


def _went_by_mail_alone(invitation: Invitation, handle: str) -> bool:
    """Return whether the handle is the token of the letter, which only a person who reads the mailbox can have."""
    return invitation.mailed_token_hash == token_hash(handle)


def _require_pending(session: Session, invitation: Invitation) -> None:
    """Raises InvitationEnded."""
    how = invitations.how_ended(session, invitation)
    if how is not None:
        raise InvitationEnded(how)


def _join_organization(session: Session, organization: Organization, user: User, role: OrganizationRole) -> None:
    if user.id == organization.owner_id:
        return
    member = session.get(OrganizationMember, (organization.id, user.id))
    if member is None:
        flush_or_conflict(session, OrganizationMember(organization_id=organization.id, user_id=user.id, role=role))
        audit.record(session, Event.MEMBER_JOINED, user.id, organization.id, user.id, role=role)
    elif ORGANIZATION_ACTIONS[OrganizationRole(member.role)] < ORGANIZATION_ACTIONS[OrganizationRole(role)]:
        member.role = role


def _join_project(session: Session, included: InvitationProject, user: User) -> bool:
    """Return whether the user had no role in the project before."""
    member = session.get(ProjectMember, (included.project_id, user.id))
    if member is None:
        flush_or_conflict(session, ProjectMember(project_id=included.project_id, user_id=user.id, role=included.role))
        return True
    if PROJECT_ACTIONS[ProjectRole(member.role)] < PROJECT_ACTIONS[ProjectRole(included.role)]:
        member.role = included.role
    return False


def _offer(session: Session, invitation: Invitation) -> Offer:
    organization = session.get_one(Organization, invitation.organization_id)
    inviter = session.get_one(User, invitation.invited_by)
    role = str(invitation.role)
    project_name = None
    if invitation.project_id is not None:
        project_name = session.get_one(Project, invitation.project_id).name
        role = session.get_one(InvitationProject, (invitation.id, invitation.project_id)).role
    return Offer(invitation, organization.name, project_name, role, inviter.name)
