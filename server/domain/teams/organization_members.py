"""Who belongs to an organization: seeing, changing roles, removing, leaving."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import audit, notifications
from server.domain.access import Action, may_change, require_organization
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization
from server.domain.notifications import Notice
from server.domain.teams import cascades
from server.errors import Conflict, Forbidden, NotFound
from server.models import Organization, OrganizationMember, OrganizationRole, Project, ProjectMember, User
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
    """The owner first, then the others in the order in which they came. Raises NotFound."""
    place, _ = require_organization(session, principal, organization_id, Action.SEE)
    return members_of(session, place)


def members_of(session: Session, place: Organization) -> list[Member]:
    """The owner first, then the others in the order in which they came."""
    owner = session.get_one(User, place.owner_id)
    rows = session.exec(
        select(OrganizationMember, User)
        .join(User)
        .where(OrganizationMember.organization_id == place.id)
        .order_by(col(OrganizationMember.joined_at), col(User.id))
    )
    others = [Member(user.id, user.email, user.name, member.role, member.joined_at) for member, user in rows]
    return [Member(owner.id, owner.email, owner.name, OrganizationRole.OWNER, place.owner_since), *others]


def change_role(
    session: Session, principal: Principal, organization_id: str, user_id: str, role: OrganizationRole
) -> None:
    """Make a member admin or an admin member. Raises NotFound, Forbidden, OwnerStays."""
    lock_organization(session, organization_id)
    place, own = require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    member = _other(session, place, user_id)
    _require_above(principal, own, member)
    if member.role == role:
        return
    before, member.role = member.role, role
    flush_or_conflict(session, member)
    if role == OrganizationRole.MEMBER:
        cascades.revoke_access(session, user_id, _only_by_the_organization(session, place.id, user_id))
    changed = {"from": before, "to": role}
    audit.record(session, Event.MEMBER_ROLE_CHANGED, principal.user_id, place.id, user_id, **changed)
    message = f"Your role in {place.name} is now {role}."
    told = {"organization_id": place.id, "role": role}
    notifications.notify(session, [user_id], Notice.ROLE_CHANGED, "Your role has changed", message, **told)


def remove(session: Session, principal: Principal, organization_id: str, user_id: str) -> int:
    """Remove a member, or leave: with the memberships in its projects, and what was handed out there.

    Returns how many API keys ended. Raises NotFound, Forbidden, OwnerStays.
    """
    lock_organization(session, organization_id)
    leaves = user_id == principal.user_id
    needed = Action.LEAVE if leaves else Action.MANAGE_MEMBERS
    place, own = require_organization(session, principal, organization_id, needed)
    member = _other(session, place, user_id)
    _require_above(principal, own, member)
    project_ids = _projects(session, place.id)
    mine = (col(ProjectMember.user_id) == user_id, col(ProjectMember.project_id).in_(project_ids))
    session.execute(sa.delete(ProjectMember).where(*mine))
    session.delete(member)
    lost = cascades.revoke_access(session, user_id, project_ids)
    event = Event.MEMBER_LEFT if leaves else Event.MEMBER_REMOVED
    audit.record(session, event, principal.user_id, place.id, user_id, api_keys=lost.api_keys, grants=lost.grants)
    if not leaves:
        message, told = f"You no longer belong to {place.name}.", {"organization_id": place.id}
        notifications.notify(session, [user_id], Notice.REMOVED, f"Removed from {place.name}", message, **told)
    return lost.api_keys


def _other(session: Session, place: Organization, user_id: str) -> OrganizationMember:
    """A member who is not the owner. Raises OwnerStays, NotFound."""
    if user_id == place.owner_id:
        raise OwnerStays
    member = session.get(OrganizationMember, (place.id, user_id))
    if member is None:
        raise NotFound("Member not found.")
    return member


def _require_above(principal: Principal, own: OrganizationRole, member: OrganizationMember) -> None:
    """An admin acts on members and on themselves, not on another admin. Raises Forbidden."""
    if not may_change(own, member.role, is_self=member.user_id == principal.user_id):
        raise Forbidden("Only the owner may change or remove an admin.")


def _projects(session: Session, organization_id: str) -> Sequence[str]:
    return session.exec(select(Project.id).where(Project.organization_id == organization_id)).all()


def _only_by_the_organization(session: Session, organization_id: str, user_id: str) -> list[str]:
    """The projects that an admin reaches without a role of their own in them."""
    own = set(session.exec(select(ProjectMember.project_id).where(ProjectMember.user_id == user_id)))
    return [project_id for project_id in _projects(session, organization_id) if project_id not in own]
