"""The navigation around every page: the user, the user's projects, and unread notifications."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import names, notifications
from server.domain.access import PROJECT_ACTIONS, Action, reachable_projects
from server.domain.memory import expiry
from server.domain.people import users
from server.domain.teams import projects
from server.domain.teams.projects import ProjectAccess
from server.errors import NotFound
from server.models import Organization, OrganizationRole, Project, ProjectRole, User
from server.models.stored_size import TOTAL_SIZE
from server.principal import Principal

MOST_IN_MENU = 50


class ProjectEntry(NamedTuple):
    """A project in the navigation, with its organization's title and the user's role in each. `memories` is the number
    of its memories that have not expired.
    """

    project: Project
    memories: int
    organization: str
    role: ProjectRole
    organization_role: OrganizationRole | None

    def may(self, action: str) -> bool:
        """Return whether templates offer the action. The operation checks permission again."""
        return Action(action) in PROJECT_ACTIONS[self.role]


class Frame(NamedTuple):
    """The content of the navigation."""

    user: User
    projects: Sequence[ProjectEntry]
    unread: int

    @property
    def menu(self) -> list[tuple[str, list[ProjectEntry]]]:
        """The first projects, by organization."""
        by_organization = groupby(self.projects[:MOST_IN_MENU], key=lambda entry: entry.organization)
        return [(organization, list(entries)) for organization, entries in by_organization]


def frame_of(session: Session, principal: Principal) -> Frame:
    """Return the navigation, with projects sorted by organization and name."""
    user = users.me(session, principal)
    reachable = projects.reachable(session, principal)
    expired = expiry.expired_by_project(session, _reachable_ids(principal))
    entries = [_entry(access, user, expired.get(access.project.id, 0)) for access in reachable]
    entries.sort(key=lambda entry: (names.order_of(entry.organization), names.order_of(entry.project.name)))
    return Frame(user, entries, notifications.count_unread(session, principal, with_own=False))


def expired_sizes(session: Session, principal: Principal) -> dict[str, int]:
    """Return the size of the memories that have expired, in bytes, by project. Projects without any are left out."""
    return expiry.expired_by_project(session, _reachable_ids(principal), TOTAL_SIZE)


def _reachable_ids(principal: Principal) -> sa.Select[str]:
    return reachable_projects(principal).with_only_columns(col(Project.id))


def organization_title(organization: Organization, owner_name: str, user_id: str) -> str:
    """Return the organization's name, with the owner's name if it is the personal organization of another user."""
    is_own = organization.owner_id == user_id
    return organization.name if is_own else names.title_for_others(organization, owner_name)


def last_project(frame: Frame, project_id: str | None) -> ProjectEntry | None:
    """Return the project last opened in this browser, or else the one with the most memories."""
    fullest = max(frame.projects, key=lambda entry: entry.memories, default=None)
    return next((entry for entry in frame.projects if entry.project.id == project_id), fullest)


def find_project(frame: Frame, project_id: str) -> ProjectEntry:
    """Raises NotFound."""
    entry = next((entry for entry in frame.projects if entry.project.id == project_id), None)
    if entry is None:
        raise NotFound("Project not found.")
    return entry


def _entry(access: ProjectAccess, user: User, expired: int) -> ProjectEntry:
    title = organization_title(access.organization, access.owner_name, user.id)
    memories = access.project.memory_count - expired
    return ProjectEntry(access.project, memories, title, access.role, access.organization_role)
