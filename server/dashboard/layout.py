"""What surrounds every page: who is signed in, the projects they reach with their roles, what waits for them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import notifications
from server.domain.access import PROJECT_ACTIONS, Action, organization_role_of, reachable_projects
from server.domain.people import users
from server.errors import NotFound
from server.models import Organization, OrganizationRole, Project, ProjectRole, User
from server.models.organizations import OrganizationKind
from server.principal import Principal


class ProjectAccess(NamedTuple):
    """A project that the visitor reaches, whose it is, and the visitor's roles there."""

    project: Project
    organization: str
    role: ProjectRole
    organization_role: OrganizationRole | None

    def may(self, action: str) -> bool:
        """For templates: what a role may not do is not offered. The operation decides again."""
        return Action(action) in PROJECT_ACTIONS[self.role]


class Frame(NamedTuple):
    """What surrounds every page: who is signed in, where they may go, what waits for them."""

    user: User
    places: Sequence[ProjectAccess]
    unread: int


def frame_of(session: Session, principal: Principal) -> Frame:
    user = users.me(session, principal)
    governing = organization_role_of(user.id)
    query = reachable_projects(principal).add_columns(Organization, col(User.name), governing)
    rows = session.execute(query.join(User, col(User.id) == Organization.owner_id))
    places = [
        ProjectAccess(project, title(organization, owner, user.id), ProjectRole(role), own and OrganizationRole(own))
        for project, role, organization, owner, own in rows
    ]
    places.sort(key=lambda place: (place.organization.casefold(), place.project.name.casefold()))
    return Frame(user, places, notifications.count_unread(session, principal))


def title(organization: Organization, owner: str, visitor_id: str) -> str:
    """An organization's name; everybody's personal one is called the same, so another's says whose it is."""
    is_anothers = organization.kind == OrganizationKind.PERSONAL and organization.owner_id != visitor_id
    return f"{organization.name} ({owner})" if is_anothers else organization.name


def last_project(frame: Frame, project_id: str | None) -> ProjectAccess | None:
    """The project that was open last in this browser, else the first."""
    first = frame.places[0] if frame.places else None
    return next((place for place in frame.places if place.project.id == project_id), first)


def names_of(session: Session, _principal: Principal, user_ids: Collection[str | None]) -> dict[str, str]:
    """The names of people who did what the visitor may see; who deleted the account has none."""
    wanted = sorted(user_id for user_id in user_ids if user_id)
    query = sa.select(col(User.id), col(User.name)).where(col(User.id).in_(wanted), col(User.name) != "")
    return {user_id: name for user_id, name in session.execute(query)}  # noqa: C416 - rows are no pairs


def project_access(frame: Frame, project_id: str) -> ProjectAccess:
    found = next((place for place in frame.places if place.project.id == project_id), None)
    if found is None:
        raise NotFound("Project not found.")
    return found
