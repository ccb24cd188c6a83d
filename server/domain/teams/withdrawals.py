"""Cancels invitations whose sender or recipient lost a membership or a role."""

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import governs, organization_role_of
from server.models import (
    Invitation,
    InvitationProject,
    Organization,
    OrganizationMember,
    OrganizationRole,
    ProjectMember,
    ProjectRole,
    User,
)
from server.models.base import now
from server.models.invitations import InvitationStatus


def cancel_of_member(session: Session, organization: Organization, user_id: str, project_id: str | None = None) -> int:
    """Cancel the pending invitations to a member, and those from the member that the new role no longer allows. Call
    it after a role was lowered or removed. With `project_id`, it cancels only invitations that give access to this
    project or were sent for it. They stay canceled even if the person gets the role back. Return how many.
    """
    session.flush()
    to_member = col(Invitation.email) == sa.select(col(User.email)).where(col(User.id) == user_id).scalar_subquery()
    sent = (col(Invitation.invited_by) == user_id) & _may_not_send(session, organization, user_id)
    if project_id is not None:
        to_member &= _gives_access(project_id)
        sent &= col(Invitation.project_id) == project_id
    return _cancel(session, (col(Invitation.organization_id) == organization.id) & (to_member | sent))


def cancel_of_account(session: Session, user: User) -> int:
    """Cancel the pending invitations that the user sent, and all to the organizations that the user owns."""
    owned = sa.select(col(Organization.id)).where(col(Organization.owner_id) == user.id)
    return _cancel(session, (col(Invitation.invited_by) == user.id) | col(Invitation.organization_id).in_(owned))


def cancel_of_deleted_account(session: Session, user: User) -> None:
    """Cancel the invitations from the user and to the address, which somebody else may own later."""
    _cancel(session, (col(Invitation.invited_by) == user.id) | (col(Invitation.email) == user.email))
    session.execute(sa.update(Invitation).where(col(Invitation.email) == user.email).values(email=""))


def release_address(session: Session, user: User) -> None:
    """Detach the invitations to the address that the user is about to give up.

    Pending ones wait for the owner of that mailbox, except those of the user's own organizations: a later removal would
    miss them, so they are canceled. Ended ones forget the address, which must not outlive the account.
    """
    to_address = col(Invitation.email) == user.email
    joined = sa.select(col(OrganizationMember.organization_id)).where(col(OrganizationMember.user_id) == user.id)
    has_ended = col(Invitation.organization_id).in_(joined) | (col(Invitation.expires_at) <= now())
    _cancel(session, to_address & has_ended)
    is_ended = col(Invitation.status) != InvitationStatus.PENDING
    session.execute(sa.update(Invitation).where(to_address, is_ended).values(email=""))


def _may_not_send(session: Session, organization: Organization, user_id: str) -> sa.ColumnElement[bool]:
    """Return the condition for invitations that the user's role does not allow to send."""
    role = sa.select(organization_role_of(user_id)).where(col(Organization.id) == organization.id)
    if governs(session.execute(role).scalar_one()):
        return sa.false()
    administered = sa.select(col(ProjectMember.project_id)).where(
        col(ProjectMember.user_id) == user_id, col(ProjectMember.role) == ProjectRole.ADMIN
    )
    return col(Invitation.project_id).is_(None) | col(Invitation.project_id).not_in(administered)


def _gives_access(project_id: str) -> sa.ColumnElement[bool]:
    """Return the condition for invitations that include the project, or all projects of the organization."""
    including = sa.select(col(InvitationProject.invitation_id)).where(col(InvitationProject.project_id) == project_id)
    return (col(Invitation.role) == OrganizationRole.ADMIN) | col(Invitation.id).in_(including)


def _cancel(session: Session, condition: sa.ColumnElement[bool]) -> int:
    cancelled = (
        sa.update(Invitation)
        .where(condition, col(Invitation.status) == InvitationStatus.PENDING)
        .values(status=InvitationStatus.CANCELLED)
        .returning(col(Invitation.id))
    )
    return len(session.execute(cancelled).all())
