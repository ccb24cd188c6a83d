"""Projects: creating, reading and deleting them."""

from enum import Enum, auto
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, names, notifications
from server.domain.access import (
    Action,
    organization_role_of,
    reachable_projects,
    require_organization,
    require_project_role,
)
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization, lock_organization_of
from server.domain.notifications import Notice
from server.domain.people import users
from server.domain.teams import cascades, project_members
from server.domain.teams.cascades import DeletedCounts
from server.models import Organization, OrganizationRole, Project, ProjectRole, User
from server.models.base import now
from server.principal import Principal


class Unchanged(Enum):
    """A default that means "do not change", for arguments where None is a value."""

    UNCHANGED = auto()


UNCHANGED = Unchanged.UNCHANGED


class ProjectWithRole(NamedTuple):
    """A project and one person's role in it; `owner_id` is the owner of its organization."""

    project: Project
    role: ProjectRole
    owner_id: str


class ProjectAccess(NamedTuple):
    """A project that a person can reach, its organization, and the person's roles in both.

    `organization_role` is None for a person who has a role in the project but not in its organization.
    """

    project: Project
    organization: Organization
    owner_name: str
    role: ProjectRole
    organization_role: OrganizationRole | None


def create(session: Session, principal: Principal, organization_id: str, name: str) -> Project:
    """Create a project with the principal as its admin. Raises Invalid, NotFound, Forbidden, ProjectNameTaken."""
    lock_organization(session, organization_id)
    organization, _ = require_organization(session, principal, organization_id, Action.CREATE_PROJECT)
    cleaned = names.parse_name(name)
    project = users.add_project(session, organization, users.me(session, principal), cleaned)
    audit.record(session, Event.PROJECT_CREATED, principal.user_id, organization.id, project.id)
    return project


def list_projects(session: Session, principal: Principal) -> list[ProjectWithRole]:
    """Return the projects that the principal can reach, oldest first; for a key or token, its one project."""
    query = reachable_projects(principal).add_columns(col(Organization.owner_id)).order_by(col(Project.id))
    return [ProjectWithRole(project, ProjectRole(role), owner_id) for project, role, owner_id in session.execute(query)]


def reachable(session: Session, principal: Principal) -> list[ProjectAccess]:
    """Return the projects that the principal can reach, oldest first, each with its organization and both roles."""
    organization_role = organization_role_of(principal.user_id)
    query = reachable_projects(principal).add_columns(Organization, col(User.name), organization_role)
    query = query.join(User, col(User.id) == Organization.owner_id).order_by(col(Project.id))
    return [
        ProjectAccess(
            project=project,
            organization=organization,
            owner_name=owner_name,
            role=ProjectRole(role),
            organization_role=None if own_role is None else OrganizationRole(own_role),
        )
        for project, role, organization, owner_name, own_role in session.execute(query)
    ]


def get(session: Session, principal: Principal, project_id: str) -> ProjectWithRole:
    """Raises NotFound."""
    project, role = require_project_role(session, principal, project_id, Action.SEE)
    return ProjectWithRole(project, role, owner_of(session, project))


def change(
    session: Session,
    principal: Principal,
    project_id: str,
    name: str | None = None,
    trash_days: int | Unchanged | None = UNCHANGED,
) -> ProjectWithRole:
    """Change the name, and how long deleted memories can be restored.

    Raises Invalid, NotFound, Forbidden, ProjectNameTaken.
    """
    lock_organization_of(session, project_id)
    action = Action.SET_TRASH_DAYS if name is None and trash_days is not UNCHANGED else Action.RENAME
    project, role = require_project_role(session, principal, project_id, action)
    if name is not None and names.rename(project, name):
        flush_or_conflict(session, project)
        audit.record(session, Event.PROJECT_RENAMED, principal.user_id, project.organization_id, project.id)
    if not isinstance(trash_days, Unchanged):
        require_project_role(session, principal, project_id, Action.SET_TRASH_DAYS)
        if trash_days != project.trash_days:
            project.trash_days, project.updated_at = trash_days, now()
    return ProjectWithRole(project, role, owner_of(session, project))


def delete(session: Session, principal: Principal, project_id: str) -> DeletedCounts:
    """Delete a project with everything in it, and notify the others who could use it. Raises NotFound, Forbidden."""
    lock_organization_of(session, project_id)
    project, _ = require_project_role(session, principal, project_id, Action.DELETE_PROJECT)
    organization_id, name = project.organization_id, project.name
    members = {member.user_id for member in project_members.list_members(session, principal, project_id)}
    counts = cascades.remove_projects(session, col(Project.id) == project.id)
    audit.record(session, Event.PROJECT_DELETED, principal.user_id, organization_id, project_id)
    notifications.notify(
        session, members - {principal.user_id}, Notice.REMOVED, f"{name} was deleted",
        f"The project “{name}” and all its memories were deleted.", topic=f"deleted:{organization_id}",
        gathered=f"%d projects and all their memories were deleted. The last one was “{name}”.",
        organization_id=organization_id, actor_id=principal.user_id,
    )  # fmt: skip
    return counts


def owner_of(session: Session, project: Project) -> str:
    """Return the id of the owner of the project's organization."""
    query = sa.select(col(Organization.owner_id)).where(col(Organization.id) == project.organization_id)
    owner_id: str = session.execute(query).scalar_one()
    return owner_id
