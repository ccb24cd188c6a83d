"""Projects: making, seeing and deleting them."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, names
from server.domain.access import (
    Action,
    organization_role_of,
    reachable_projects,
    require_organization,
    require_project_role,
)
from server.domain.audit import Event
from server.domain.locks import lock_organization, lock_organization_of
from server.domain.people import users
from server.domain.teams import cascades
from server.domain.teams.cascades import Cascades
from server.models import Organization, OrganizationRole, Project, ProjectRole, User
from server.principal import Principal


class Workspace(NamedTuple):
    """A project as one person sees it; `owner_id` is its organization's owner."""

    project: Project
    role: ProjectRole
    owner_id: str


class ProjectAccess(NamedTuple):
    """A project that the user can reach, its organization, and the user's role in each."""

    project: Project
    organization: Organization
    owner_name: str
    role: ProjectRole
    organization_role: OrganizationRole | None


def create(session: Session, principal: Principal, organization_id: str, name: str) -> Project:
    """A new project with whoever makes it as its admin. Raises Invalid, NotFound, Forbidden, ProjectNameTaken."""
    lock_organization(session, organization_id)
    place, _ = require_organization(session, principal, organization_id, Action.CREATE_PROJECT)
    cleaned = names.project_or_organization(name)
    project = users.add_project(session, place, users.me(session, principal), cleaned)
    audit.record(session, Event.PROJECT_CREATED, principal.user_id, place.id, project.id)
    return project


def list_projects(session: Session, principal: Principal) -> list[Workspace]:
    """All that the principal reaches, the oldest first; with a key or token its one project."""
    query = reachable_projects(principal).add_columns(col(Organization.owner_id)).order_by(col(Project.id))
    return [Workspace(project, ProjectRole(role), owner_id) for project, role, owner_id in session.execute(query)]


def reachable(session: Session, principal: Principal) -> list[ProjectAccess]:
    """Return every project that the principal can reach, in no particular order."""
    organization_role = organization_role_of(principal.user_id)
    query = reachable_projects(principal).add_columns(Organization, col(User.name), organization_role)
    rows = session.execute(query.join(User, col(User.id) == Organization.owner_id))
    return [
        ProjectAccess(project, organization, owner, ProjectRole(role), own_role and OrganizationRole(own_role))
        for project, role, organization, owner, own_role in rows
    ]


def get(session: Session, principal: Principal, project_id: str) -> Workspace:
    """Raises NotFound."""
    project, role = require_project_role(session, principal, project_id, Action.SEE)
    return Workspace(project, role, owner_of(session, project))


def delete(session: Session, principal: Principal, project_id: str) -> Cascades:
    """Delete a project with all below it. Raises NotFound, Forbidden."""
    lock_organization_of(session, project_id)
    project, _ = require_project_role(session, principal, project_id, Action.DELETE_PROJECT)
    counts = cascades.remove_projects(session, [project.id])
    audit.record(session, Event.PROJECT_DELETED, principal.user_id, project.organization_id, project.id)
    return counts


def owner_of(session: Session, project: Project) -> str:
    """The id of the owner of the project's organization."""
    query = sa.select(col(Organization.owner_id)).where(col(Organization.id) == project.organization_id)
    owner_id: str = session.execute(query).scalar_one()
    return owner_id
