"""What surrounds every page: who is signed in, the projects they reach with their roles, what waits for them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlmodel import Session

from server.domain import notifications
from server.domain.access import PROJECT_ACTIONS, Action
from server.domain.people import users
from server.domain.teams import projects
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
    places = [
        ProjectAccess(one.project, title(one.organization, one.owner_name, user.id), one.role, one.organization_role)
        for one in projects.reachable(session, principal)
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


def project_access(frame: Frame, project_id: str) -> ProjectAccess:
    found = next((place for place in frame.places if place.project.id == project_id), None)
    if found is None:
        raise NotFound("Project not found.")
    return found
