"""Projects: making, seeing and deleting them."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, names
from server.domain.access import Action, reachable_projects, require_organization, require_project_role
from server.domain.audit import Event
from server.domain.locks import lock_organization, lock_organization_of
from server.domain.people import users
from server.domain.teams import cascades
from server.domain.teams.cascades import Cascades
from server.models import Organization, Project, ProjectRole
from server.principal import Principal


class Workspace(NamedTuple):
    """A project as one person sees it; `owner_id` is its organization's owner."""

    project: Project
    role: ProjectRole
    owner_id: str


def create(session: Session, principal: Principal, organization_id: str, name: str) -> Project:
    """A new project with whoever makes it as its admin. Raises Invalid, NotFound, Forbidden, ProjectNameTaken."""
    lock_organization(session, organization_id)
    place, _ = require_organization(session, principal, organization_id, Action.CREATE_PROJECT)
    cleaned = names.parse_name(name)
    project = users.add_project(session, place, users.me(session, principal), cleaned)
    audit.record(session, Event.PROJECT_CREATED, principal.user_id, place.id, project.id)
    return project


def list_projects(session: Session, principal: Principal) -> list[Workspace]:
    """All that the principal reaches, the oldest first; with a key or token its one project."""
    query = reachable_projects(principal).add_columns(col(Organization.owner_id)).order_by(col(Project.id))
    return [Workspace(project, ProjectRole(role), owner_id) for project, role, owner_id in session.execute(query)]


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
