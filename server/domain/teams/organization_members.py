"""Members of an organization: listing them, changing roles, removing, leaving."""

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import audit, notifications
from server.domain.access import Action, may_change, require_organization
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization
from server.domain.notifications import Notice
from server.domain.teams import cascades, withdrawals
from server.domain.teams.cascades import DeletedCounts
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.models import Organization, OrganizationMember, OrganizationRole, Project, ProjectMember, User
from server.models.base import JSON
from server.principal import Principal


class OwnerStays(Conflict):
    sentence = "This is the owner of the organization: transfer the ownership first."


@dataclass(frozen=True, slots=True)
class Member:
    """A person with a role, in an organization or a project."""

    user_id: str
    email: str | None
    name: str
    role: str
    joined_at: datetime


def list_members(session: Session, principal: Principal, organization_id: str) -> list[Member]:
    """Return the owner, then the other members, oldest membership first. Raises NotFound."""
    organization, _ = require_organization(session, principal, organization_id, Action.SEE)
    return members_of(session, organization)


def members_of(session: Session, organization: Organization) -> list[Member]:
    owner = session.get_one(User, organization.owner_id)
    rows = session.exec(
        select(OrganizationMember, User)
        .join(User)
        .where(OrganizationMember.organization_id == organization.id)
        .order_by(col(OrganizationMember.joined_at), col(User.id))
    )
    others = [Member(user.id, user.email, user.name, member.role, member.joined_at) for member, user in rows]
    return [Member(owner.id, owner.email, owner.name, OrganizationRole.OWNER, organization.owner_since), *others]


def change_role(
    session: Session, principal: Principal, organization_id: str, user_id: str, role: OrganizationRole
) -> int:
    """Change a member's role to `admin` or `member`. A lower role ends pending invitations to and from the member.

    Returns the number of canceled invitations. Raises Invalid, NotFound, Forbidden, OwnerStays.
    """
    require_assignable(role)
    lock_organization(session, organization_id)
    organization, own_role = require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    member = _require_changeable(session, principal, organization, own_role, user_id)
    if member.role == role:
        return 0
    old_role = member.role
    member.role = role
    flush_or_conflict(session, member)
    cancelled = 0
    if role == OrganizationRole.MEMBER:
        own_role_in = sa.select(col(ProjectMember.project_id)).where(col(ProjectMember.user_id) == user_id)
        without_own_role = _projects_of(organization).where(col(Project.id).not_in(own_role_in))
        cascades.revoke_access(session, user_id, without_own_role)
        cancelled = withdrawals.cancel_of_member(session, organization, user_id)
    changes: dict[str, JSON] = {"from": old_role, "to": role}
    if cancelled:
        changes["invitations"] = cancelled
    audit.record(session, Event.MEMBER_ROLE_CHANGED, principal.user_id, organization.id, user_id, **changes)
    notifications.notify(
        session, [user_id], Notice.ROLE_CHANGED, "Your role has changed",
        f"Your role in the organization “{organization.name}” is now {role}.",
        topic=f"role:{organization.id}", organization_id=organization.id, role=role,
        actor_id=principal.user_id,
    )  # fmt: skip
    return cancelled


def remove(session: Session, principal: Principal, organization_id: str, user_id: str) -> DeletedCounts:
    """Remove a member from the organization and its projects, or leave.

    The member's keys and grants there end, and the pending invitations to and from the member. Return how many of each.
    Raises NotFound, Forbidden, OwnerStays.
    """
    lock_organization(session, organization_id)
    is_leaving = user_id == principal.user_id
    action = Action.LEAVE if is_leaving else Action.MANAGE_MEMBERS
    organization, own_role = require_organization(session, principal, organization_id, action)
    member = _require_changeable(session, principal, organization, own_role, user_id)
    project_ids = _projects_of(organization)
    memberships = (col(ProjectMember.user_id) == user_id, col(ProjectMember.project_id).in_(project_ids))
    session.execute(sa.delete(ProjectMember).where(*memberships))
    session.delete(member)
    revoked = cascades.revoke_access(session, user_id, project_ids)
    cancelled = withdrawals.cancel_of_member(session, organization, user_id)
    event = Event.MEMBER_LEFT if is_leaving else Event.MEMBER_REMOVED
    audit.record(
        session, event, principal.user_id, organization.id, user_id,
        api_keys=revoked.api_keys, grants=revoked.grants, invitations=cancelled,
    )  # fmt: skip
    if is_leaving:
        notify_owner(session, organization, session.get_one(User, user_id))
    else:
        notifications.notify(
            session, [user_id], Notice.REMOVED, f"Removed from {organization.name}",
            f"You no longer belong to the organization “{organization.name}”.",
            topic=f"removed:{organization.id}", organization_id=organization.id, actor_id=principal.user_id,
        )  # fmt: skip
    return replace(revoked, invitations=cancelled)


def notify_owner(session: Session, organization: Organization, user: User) -> None:
    """Notify the owner that the user has left."""
    notifications.notify(
        session, [organization.owner_id], Notice.MEMBER_LEFT, f"{user.name} left {organization.name}",
        f"{user.name} left the organization “{organization.name}”.",
        topic=f"left:{organization.id}",
        gathered=f"%d members left the organization “{organization.name}”. The last one was {user.name}.",
        organization_id=organization.id, actor_id=user.id,
    )  # fmt: skip


def require_assignable(role: OrganizationRole) -> None:
    """Raises Invalid for the role of the owner."""
    if role is OrganizationRole.OWNER:
        raise Invalid("transfer the ownership to make somebody the owner.", field="role")


def _require_changeable(
    session: Session, principal: Principal, organization: Organization, own_role: OrganizationRole, user_id: str
) -> OrganizationMember:
    """Return a member whom the principal may change or remove. Raises OwnerStays, NotFound, Forbidden."""
    if user_id == organization.owner_id:
        raise OwnerStays
    member = session.get(OrganizationMember, (organization.id, user_id))
    if member is None:
        raise NotFound("Member not found.")
    if not may_change(own_role, member.role, is_self=member.user_id == principal.user_id):
        raise Forbidden("Only the owner may change or remove an admin.")
    return member


def _projects_of(organization: Organization) -> sa.Select[str]:
    """Return the query for the ids of the organization's projects, of which there may be any number."""
    return sa.select(col(Project.id)).where(col(Project.organization_id) == organization.id)
