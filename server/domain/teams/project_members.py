"""Members of a project: listing them, adding, changing roles, removing, leaving.

The owner and the admins of the organization are admins of all its projects without a row here. A project's creator
still gets a row, so the creator stays an admin after losing the role in the organization. That row can be changed and
removed like any other.
"""

from dataclasses import replace

from sqlmodel import Session, col, select

from server.domain import audit, notifications
from server.domain.access import PROJECT_ACTIONS, Action, governs, require_project_role
from server.domain.audit import Event
from server.domain.constraints import AlreadyMember, flush_or_conflict
from server.domain.locks import lock_organization_of
from server.domain.notifications import Notice
from server.domain.teams import cascades, withdrawals
from server.domain.teams.cascades import DeletedCounts
from server.domain.teams.organization_members import Member, OwnerStays, members_of
from server.errors import Conflict, NotFound
from server.models import Organization, OrganizationMember, Project, ProjectMember, ProjectRole, User
from server.models.base import JSON
from server.principal import Principal
from server.storage.statements import count_rows


class LastAdmin(Conflict):
    sentence = "This is the project's last admin: make somebody else an admin first."


class RoleOfOrganization(Conflict):
    sentence = "This role comes from the organization: change the person's role there."


def list_members(session: Session, principal: Principal, project_id: str) -> list[Member]:
    """Return all people who can use the project, with their effective roles. Raises NotFound."""
    project, _ = require_project_role(session, principal, project_id, Action.SEE)
    organization = session.get_one(Organization, project.organization_id)
    rows = session.exec(
        select(ProjectMember, User)
        .join(User)
        .where(ProjectMember.project_id == project.id)
        .order_by(col(ProjectMember.joined_at), col(User.id))
    )
    with_own_role = [Member(user.id, user.email, user.name, member.role, member.joined_at) for member, user in rows]
    governing = {
        member.user_id: Member(member.user_id, member.email, member.name, ProjectRole.ADMIN, member.joined_at)
        for member in members_of(session, organization)
        if governs(member.role)
    }
    return [*governing.values(), *(member for member in with_own_role if member.user_id not in governing)]


def add(session: Session, principal: Principal, project_id: str, user_id: str, role: ProjectRole) -> None:
    """Give a member of the organization a role in the project.

    Raises Forbidden, NotFound (also for a person outside the organization), AlreadyMember (also for the organization's
    owner and admins, who have their role from there).
    """
    lock_organization_of(session, project_id)
    project, _ = require_project_role(session, principal, project_id, Action.MANAGE_MEMBERS)
    organization = session.get_one(Organization, project.organization_id)
    member = session.get(OrganizationMember, (organization.id, user_id))
    if user_id == organization.owner_id or (member is not None and governs(member.role)):
        raise AlreadyMember
    if member is None:
        raise NotFound("User not found in the organization.")
    flush_or_conflict(session, ProjectMember(project_id=project.id, user_id=user_id, role=role))
    details = {"project_id": project.id, "role": role}
    audit.record(session, Event.PROJECT_MEMBER_ADDED, principal.user_id, organization.id, user_id, **details)
    _notify_role(session, principal, project, user_id, role)


def change_role(session: Session, principal: Principal, project_id: str, user_id: str, role: ProjectRole) -> int:
    """Change a person's role in the project. A lower role ends pending invitations to and from the person there.

    Returns the number of canceled invitations. Raises NotFound, Forbidden, OwnerStays, RoleOfOrganization, LastAdmin.
    """
    lock_organization_of(session, project_id)
    project, _ = require_project_role(session, principal, project_id, Action.MANAGE_MEMBERS)
    organization, member = _require_own_role(session, project, user_id)
    if member.role == role:
        return 0
    if member.role == ProjectRole.ADMIN:
        _require_other_admin(session, principal, organization, project.id)
    old_role = member.role
    member.role = role
    flush_or_conflict(session, member)
    is_lower = PROJECT_ACTIONS[role] < PROJECT_ACTIONS[ProjectRole(old_role)]
    cancelled = withdrawals.cancel_of_member(session, organization, user_id, project.id) if is_lower else 0
    details: dict[str, JSON] = {"project_id": project.id, "from": old_role, "to": role}
    if cancelled:
        details["invitations"] = cancelled
    audit.record(session, Event.PROJECT_MEMBER_ROLE_CHANGED, principal.user_id, organization.id, user_id, **details)
    _notify_role(session, principal, project, user_id, role)
    return cancelled


def remove(session: Session, principal: Principal, project_id: str, user_id: str) -> DeletedCounts:
    """Remove a person from a project, or leave it.

    The person's keys and grants there end, and the pending invitations to and from the person. Return how many of each.
    Raises NotFound, Forbidden, OwnerStays, RoleOfOrganization, LastAdmin.
    """
    lock_organization_of(session, project_id)
    is_leaving = user_id == principal.user_id
    action = Action.LEAVE if is_leaving else Action.MANAGE_MEMBERS
    project, _ = require_project_role(session, principal, project_id, action)
    organization, member = _require_own_role(session, project, user_id)
    if member.role == ProjectRole.ADMIN:
        _require_other_admin(session, principal, organization, project.id)
    session.delete(member)
    revoked = cascades.revoke_access(session, user_id, [project.id])
    cancelled = withdrawals.cancel_of_member(session, organization, user_id, project.id)
    event = Event.PROJECT_MEMBER_LEFT if is_leaving else Event.PROJECT_MEMBER_REMOVED
    audit.record(
        session, event, principal.user_id, organization.id, user_id,
        project_id=project.id, api_keys=revoked.api_keys, grants=revoked.grants, invitations=cancelled,
    )  # fmt: skip
    if is_leaving:
        _notify_administrators(session, project, session.get_one(User, user_id))
    else:
        notifications.notify(
            session, [user_id], Notice.REMOVED, f"Removed from {project.name}",
            f"You no longer have a role in the project “{project.name}”.", topic=f"removed:{project.id}",
            project_id=project.id, actor_id=principal.user_id,
        )  # fmt: skip
    return replace(revoked, invitations=cancelled)


def _require_own_role(session: Session, project: Project, user_id: str) -> tuple[Organization, ProjectMember]:
    """Return the organization and the user's own row in the project.

    Raises OwnerStays, RoleOfOrganization, NotFound.
    """
    organization = session.get_one(Organization, project.organization_id)
    if user_id == organization.owner_id:
        raise OwnerStays
    member = session.get(ProjectMember, (project.id, user_id))
    if member is not None:
        return organization, member
    organization_member = session.get(OrganizationMember, (organization.id, user_id))
    if organization_member is not None and governs(organization_member.role):
        raise RoleOfOrganization
    raise NotFound("Member not found.")


def _require_other_admin(session: Session, principal: Principal, organization: Organization, project_id: str) -> None:
    """Raises LastAdmin if no other admin would be left, except for the organization's owner, who remains an admin."""
    is_admin = (col(ProjectMember.project_id) == project_id, col(ProjectMember.role) == ProjectRole.ADMIN)
    if principal.user_id != organization.owner_id and count_rows(session, ProjectMember, *is_admin) <= 1:
        raise LastAdmin


def _notify_administrators(session: Session, project: Project, user: User) -> None:
    """Notify the other administrators of the project that the user has left."""
    others = set(notifications.administrators_of(session, project.id)) - {user.id}
    notifications.notify(
        session, others, Notice.MEMBER_LEFT, f"{user.name} left {project.name}",
        f"{user.name} left the project “{project.name}”.",
        topic=f"left:{project.id}",
        gathered=f"%d members left the project “{project.name}”. The last one was {user.name}.",
        project_id=project.id, actor_id=user.id,
    )  # fmt: skip


def _notify_role(session: Session, principal: Principal, project: Project, user_id: str, role: ProjectRole) -> None:
    notifications.notify(
        session, [user_id], Notice.ROLE_CHANGED, f"Your role in {project.name}",
        f"Your role in the project “{project.name}” is now {role}.",
        topic=f"role:{project.id}", project_id=project.id, role=role.value, actor_id=principal.user_id,
    )  # fmt: skip
