"""Who may use a project: seeing, adding, changing roles, removing, leaving.

The organization's owner and admins are admins of all its projects. Whoever makes a project has a row of their own here
besides, which counts when the role in the organization ends: so it may be changed and removed like any other.
"""

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import audit, notifications
from server.domain.access import Action, governs, require_project_role
from server.domain.audit import Event
from server.domain.constraints import AlreadyMember, flush_or_conflict
from server.domain.locks import lock_organization_of
from server.domain.notifications import Notice
from server.domain.teams import cascades
from server.domain.teams.organization_members import Member, OwnerStays, members_of
from server.errors import Conflict, NotFound
from server.models import Organization, OrganizationMember, Project, ProjectMember, ProjectRole, User
from server.principal import Principal


class LastAdmin(Conflict):
    sentence = "This is the project's last admin: make somebody else an admin first."


class RoleOfOrganization(Conflict):
    sentence = "This person has the role from the organization: change it there."


def list_members(session: Session, principal: Principal, project_id: str) -> list[Member]:
    """Everybody who may use the project, with the role that counts. Raises NotFound."""
    project, _ = require_project_role(session, principal, project_id, Action.SEE)
    place = session.get_one(Organization, project.organization_id)
    rows = session.exec(
        select(ProjectMember, User)
        .join(User)
        .where(ProjectMember.project_id == project.id)
        .order_by(col(ProjectMember.joined_at), col(User.id))
    )
    own = [Member(user.id, user.email, user.name, member.role, member.joined_at) for member, user in rows]
    governing = {
        member.user_id: Member(member.user_id, member.email, member.name, ProjectRole.ADMIN, member.joined_at)
        for member in members_of(session, place)
        if governs(member.role)
    }
    return [*governing.values(), *(member for member in own if member.user_id not in governing)]


def add(session: Session, principal: Principal, project_id: str, user_id: str, role: ProjectRole) -> None:
    """Give a member of the organization a role in the project.

    Raises NotFound (also for a person outside the organization), Forbidden, AlreadyMember (also for the organization's
    owner and admins, as when they are invited: they have their role from there).
    """
    lock_organization_of(session, project_id)
    project, _ = require_project_role(session, principal, project_id, Action.MANAGE_MEMBERS)
    place = session.get_one(Organization, project.organization_id)
    member = session.get(OrganizationMember, (place.id, user_id))
    if user_id == place.owner_id or (member is not None and governs(member.role)):
        raise AlreadyMember
    if member is None:
        raise NotFound("User not found in the organization.")
    flush_or_conflict(session, ProjectMember(project_id=project.id, user_id=user_id, role=role))
    audit.record(
        session, Event.PROJECT_MEMBER_ADDED, principal.user_id, place.id, user_id, project_id=project.id, role=role
    )
    _tell_role(session, project, user_id, role)


def change_role(session: Session, principal: Principal, project_id: str, user_id: str, role: ProjectRole) -> None:
    """Raises NotFound, Forbidden, OwnerStays, RoleOfOrganization, LastAdmin."""
    lock_organization_of(session, project_id)
    project, _ = require_project_role(session, principal, project_id, Action.MANAGE_MEMBERS)
    place, member = _other(session, project, user_id)
    if member.role == role:
        return
    if member.role == ProjectRole.ADMIN:
        _require_not_last(session, principal, place, project.id)
    before, member.role = member.role, role
    flush_or_conflict(session, member)
    changed = {"project_id": project.id, "from": before, "to": role}
    audit.record(session, Event.PROJECT_MEMBER_ROLE_CHANGED, principal.user_id, place.id, user_id, **changed)
    _tell_role(session, project, user_id, role)


def remove(session: Session, principal: Principal, project_id: str, user_id: str) -> int:
    """Remove a person from a project, or leave it; what was handed out there ends.

    Returns how many API keys ended. Raises NotFound, Forbidden, OwnerStays, RoleOfOrganization, LastAdmin.
    """
    lock_organization_of(session, project_id)
    leaves = user_id == principal.user_id
    needed = Action.LEAVE if leaves else Action.MANAGE_MEMBERS
    project, _ = require_project_role(session, principal, project_id, needed)
    place, member = _other(session, project, user_id)
    if member.role == ProjectRole.ADMIN:
        _require_not_last(session, principal, place, project.id)
    session.delete(member)
    lost = cascades.revoke_access(session, user_id, [project.id])
    event = Event.PROJECT_MEMBER_LEFT if leaves else Event.PROJECT_MEMBER_REMOVED
    audit.record(
        session,
        event,
        principal.user_id,
        place.id,
        user_id,
        project_id=project.id,
        api_keys=lost.api_keys,
        grants=lost.grants,
    )
    if not leaves:
        message, told = f"You no longer have a role in {project.name}.", {"project_id": project.id}
        notifications.notify(session, [user_id], Notice.REMOVED, f"Removed from {project.name}", message, **told)
    return lost.api_keys


def _other(session: Session, project: Project, user_id: str) -> tuple[Organization, ProjectMember]:
    """A person with a role of their own in the project. Raises OwnerStays, RoleOfOrganization, NotFound."""
    place = session.get_one(Organization, project.organization_id)
    if user_id == place.owner_id:
        raise OwnerStays
    member = session.get(ProjectMember, (project.id, user_id))
    if member is not None:
        return place, member
    governing = session.get(OrganizationMember, (place.id, user_id))
    if governing is not None and governs(governing.role):
        raise RoleOfOrganization
    raise NotFound("Member not found.")


def _require_not_last(session: Session, principal: Principal, place: Organization, project_id: str) -> None:
    """The organization's owner may leave a project without an admin of its own. Raises LastAdmin."""
    admins = sa.select(sa.func.count()).where(
        col(ProjectMember.project_id) == project_id, col(ProjectMember.role) == ProjectRole.ADMIN
    )
    if principal.user_id != place.owner_id and session.execute(admins).scalar_one() <= 1:
        raise LastAdmin


def _tell_role(session: Session, project: Project, user_id: str, role: ProjectRole) -> None:
    message, told = f"You are now {role} of {project.name}.", {"project_id": project.id, "role": role.value}
    notifications.notify(session, [user_id], Notice.ROLE_CHANGED, f"Your role in {project.name}", message, **told)
