"""An organization with one project and everybody who may meet it: each role, each credential, and strangers."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest
from sqlmodel import Session

from server.database import Database
from server.domain import api_keys, names, sessions, users
from server.domain.sessions import Visit
from server.models import Organization, OrganizationMember, OrganizationRole, Project, ProjectMember, ProjectRole, User
from server.models.base import new_id
from tests.rest.conftest import Caller

ORGANIZATION_ROLES = {
    "owner": OrganizationRole.OWNER,
    "admin": OrganizationRole.ADMIN,
    "member": OrganizationRole.MEMBER,
    "project_admin": OrganizationRole.MEMBER,
    "editor": OrganizationRole.MEMBER,
    "viewer": OrganizationRole.MEMBER,
    "target": OrganizationRole.MEMBER,
}
PROJECT_ROLES = {
    "project_admin": ProjectRole.ADMIN,
    "editor": ProjectRole.EDITOR,
    "viewer": ProjectRole.VIEWER,
    "target": ProjectRole.VIEWER,
}
KEYS = {"read_key": ["read"], "write_key": ["write"]}
CALLERS = ("owner", "admin", "member", "project_admin", "editor", "viewer", "outsider", *KEYS, "anonymous")


@dataclass(frozen=True)
class Team:
    """`callers` and `ids` by role; `target` is a member and viewer whom others act upon."""

    organization_id: str
    project_id: str
    callers: dict[str, Caller]
    ids: dict[str, str]
    emails: dict[str, str]

    def __getitem__(self, role: str) -> Caller:
        return self.callers[role]


@pytest.fixture
def make_team(client: httpx.AsyncClient, database: Database) -> Callable[[], Team]:
    def make() -> Team:
        with database.write() as session:
            people = {role: _person(session, role) for role in (*ORGANIZATION_ROLES, "outsider")}
            place, project = _project(session, people)
            keys = {
                name: api_keys.issue(session, project, people["project_admin"].id, name, permissions, None)[1]
                for name, permissions in KEYS.items()
            }
            values = {role: sessions.begin(session, user, Visit(days=1)) for role, user in people.items()}
            headers = {role: {"Authorization": f"Session {value}"} for role, value in values.items()}
            headers |= {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()} | {"anonymous": {}}
            return Team(
                place.id,
                project.id,
                {role: Caller(client, given) for role, given in headers.items()},
                {role: user.id for role, user in people.items()},
                {role: user.email or "" for role, user in people.items()},
            )

    return make


@pytest.fixture
def team(make_team: Callable[[], Team]) -> Team:
    return make_team()


def _person(session: Session, role: str) -> User:
    return users.register(session, f"{role}-{new_id('')}@example.com", role.capitalize(), None, verified=True)


def _project(session: Session, people: dict[str, User]) -> tuple[Organization, Project]:
    place = Organization(name="Acme", name_key=names.key_of("Acme"), owner_id=people["owner"].id)
    session.add(place)
    session.flush()
    project = users.add_project(session, place, people["owner"], "Wiki")
    for name, role in ORGANIZATION_ROLES.items():
        if role is not OrganizationRole.OWNER:
            session.add(OrganizationMember(organization_id=place.id, user_id=people[name].id, role=role))
    for name, project_role in PROJECT_ROLES.items():
        session.add(ProjectMember(project_id=project.id, user_id=people[name].id, role=project_role))
    return place, project
