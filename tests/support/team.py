"""An organization with one project, and callers with every role and credential, including strangers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import Session, select

from server.domain import names
from server.domain.people import sessions, users
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.hashing import ACCESS_TOKEN_PREFIX, new_token, token_hash
from server.models import Organization, OrganizationMember, OrganizationRole, Project, ProjectMember, ProjectRole, User
from server.models.base import new_id, now
from server.models.oauth import AccessToken, AuthMethod, ClientKind, OAuthClient, OAuthGrant
from server.principal import Scope
from server.storage.database import Database
from tests.rest.conftest import Caller
from tests.support.prepared import CREATORS

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
TOKENS: dict[str, list[str]] = {"read_token": [Scope.READ], "write_token": [Scope.WRITE]}
CALLERS = ("owner", "admin", "member", "project_admin", "editor", "viewer", "outsider", *KEYS, *TOKENS, "anonymous")


@dataclass(frozen=True)
class Team:
    """`callers`, `ids` and `emails` are keyed by role. `target` is a viewer whom tests change or remove.

    The keys and tokens belong to the project's admin; `outsider_key` and `outsider_token` reach the outsider's own
    project.
    """

    organization_id: str
    project_id: str
    callers: dict[str, Caller]
    ids: dict[str, str]
    emails: dict[str, str]

    def __getitem__(self, role: str) -> Caller:
        return self.callers[role]


def create(session: Session) -> Callable[[httpx.AsyncClient], Team]:
    """Create a team. The function that is returned gives its callers a client."""
    people = {role: _person(session, role) for role in (*ORGANIZATION_ROLES, "outsider")}
    organization, project = _project(session, people)
    values = {role: sessions.begin(session, user, BrowserInfo(days=1)) for role, user in people.items()}
    credentials = _credentials(session, people["project_admin"], project)
    own_project = session.exec(select(Project).where(Project.created_by == people["outsider"].id)).one()
    foreign = _credentials(session, people["outsider"], own_project)
    credentials |= {"outsider_key": foreign["write_key"], "outsider_token": foreign["write_token"]}
    headers = {role: {"Authorization": f"Session {value}"} for role, value in values.items()}
    headers |= {name: {"Authorization": f"Bearer {value}"} for name, value in credentials.items()}
    headers["anonymous"] = {}
    ids = {role: user.id for role, user in people.items()}
    emails = {role: user.email or "" for role, user in people.items()}
    found = Team(organization.id, project.id, {}, ids, emails)
    return lambda client: replace(found, callers={role: Caller(client, header) for role, header in headers.items()})


CREATORS["team"] = create


@pytest.fixture
def make_team(client: httpx.AsyncClient, database: Database) -> Callable[[], Team]:
    def make() -> Team:
        with database.write() as session:
            team: Team = create(session)(client)
        return team

    return make


@pytest.fixture
def team(client: httpx.AsyncClient, prepared: dict[str, Any]) -> Team:
    team: Team = prepared["team"](client)
    return team


def _credentials(session: Session, user: User, project: Project) -> dict[str, str]:
    """Return a key and a token for each permission, by name."""
    keys = {
        name: api_keys.issue(session, project, user.id, NewKey(name, permissions))[1]
        for name, permissions in KEYS.items()
    }
    return keys | {name: authorize(session, user, project, scopes=scopes) for name, scopes in TOKENS.items()}


def authorize(
    session: Session, user: User, project: Project, name: str = "An assistant", scopes: Sequence[str] = tuple(Scope)
) -> str:
    """Return an access token as if the user had given an application consent."""
    client = OAuthClient(
        id=new_id("client_"),
        kind=ClientKind.CONFIGURED,
        name=name,
        redirect_uris=[],
        grant_types=[],
        auth_method=AuthMethod.NONE,
    )
    session.add(client)
    session.flush()
    grant = OAuthGrant(user_id=user.id, client_id=client.id, project_id=project.id, scopes=list(scopes))
    session.add(grant)
    session.flush()
    token = new_token(ACCESS_TOKEN_PREFIX)
    expires = now() + timedelta(hours=1)
    session.add(AccessToken(token_hash=token_hash(token), grant_id=grant.id, scopes=grant.scopes, expires_at=expires))
    return token


def _person(session: Session, role: str) -> User:
    return users.register(session, f"{role}-{new_id('')}@example.com", role.capitalize(), None, verified=True)


def _project(session: Session, people: dict[str, User]) -> tuple[Organization, Project]:
    organization = Organization(name="Acme", name_key=names.key_of("Acme"), owner_id=people["owner"].id)
    session.add(organization)
    session.flush()
    project = users.add_project(session, organization, people["owner"], "Wiki")
    for name, role in ORGANIZATION_ROLES.items():
        if role is not OrganizationRole.OWNER:
            session.add(OrganizationMember(organization_id=organization.id, user_id=people[name].id, role=role))
    for name, project_role in PROJECT_ROLES.items():
        session.add(ProjectMember(project_id=project.id, user_id=people[name].id, role=project_role))
    return organization, project
