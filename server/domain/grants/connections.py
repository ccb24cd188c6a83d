"""Connections: which applications a person has given access to which projects, and how to end that access."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit
from server.domain.access import Action, require_organization, require_project, require_session
from server.domain.audit import Event
from server.domain.client_names import shown_name
from server.errors import NotFound
from server.models import ApiKey, OAuthClient, OAuthGrant, Project, User
from server.models.base import now
from server.principal import Principal, Scope

MOST_REACHING = 500


@dataclass(frozen=True, slots=True)
class Connection:
    """A grant with the names that people read."""

    grant: OAuthGrant
    client_name: str
    project_name: str


def list_connections(session: Session, principal: Principal) -> list[Connection]:
    """Return the principal's own connections, newest first. Raises Forbidden for a key or token."""
    require_session(principal)
    query = (
        sa.select(OAuthGrant, OAuthClient, col(Project.name))
        .join(OAuthClient, col(OAuthClient.id) == OAuthGrant.client_id)
        .join(Project, col(Project.id) == OAuthGrant.project_id)
        .where(col(OAuthGrant.user_id) == principal.user_id)
        .order_by(col(OAuthGrant.id).desc())
    )
    return [Connection(grant, shown_name(client), name) for grant, client, name in session.execute(query).all()]


@dataclass(frozen=True, slots=True)
class Reach:
    """An application or API key that can reach a project, and the member whose rights it has."""

    name: str
    is_application: bool
    owner_name: str
    project_name: str
    may_write: bool
    created_at: datetime
    last_used_at: datetime | None


def list_reaching(session: Session, principal: Principal, project_id: str) -> list[Reach]:
    """Return the applications and keys of all members that reach the project, last used first.

    Raises NotFound, Forbidden unless the principal manages the members.
    """
    project = require_project(session, principal, project_id, Action.MANAGE_MEMBERS)
    return _reaching(session, col(Project.id) == project.id)


def list_reaching_in(session: Session, principal: Principal, organization_id: str) -> list[Reach]:
    """Like `list_reaching`, for all projects of the organization. Raises NotFound, Forbidden."""
    organization, _ = require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    return _reaching(session, col(Project.organization_id) == organization.id)


def _reaching(session: Session, projects: sa.ColumnElement[bool]) -> list[Reach]:
    """Return the applications and keys that reach these projects, MOST_REACHING of each kind, last used first."""
    grants = (
        sa.select(OAuthGrant, OAuthClient, col(User.name), col(Project.name))
        .join(OAuthClient, col(OAuthClient.id) == OAuthGrant.client_id)
        .join(User, col(User.id) == OAuthGrant.user_id)
        .join(Project, col(Project.id) == OAuthGrant.project_id)
        .where(projects)
        .order_by(sa.func.coalesce(col(OAuthGrant.last_used_at), col(OAuthGrant.created_at)).desc())
    )
    keys = (
        sa.select(ApiKey, col(User.name), col(Project.name))
        .join(User, col(User.id) == ApiKey.created_by)
        .join(Project, col(Project.id) == ApiKey.project_id)
        .where(projects, sa.or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now()))
        .order_by(sa.func.coalesce(col(ApiKey.last_used_at), col(ApiKey.created_at)).desc())
    )
    reaching = [
        Reach(
            shown_name(client), True, owner, project, Scope.WRITE in grant.scopes, grant.created_at, grant.last_used_at
        )
        for grant, client, owner, project in session.execute(grants.limit(MOST_REACHING))
    ]
    reaching += [
        Reach(key.name, False, owner, project, "write" in key.permissions, key.created_at, key.last_used_at)
        for key, owner, project in session.execute(keys.limit(MOST_REACHING))
    ]
    return sorted(reaching, key=lambda one: one.last_used_at or one.created_at, reverse=True)


class Use(NamedTuple):
    """The last use of an application or API key."""

    used_at: datetime
    name: str


def last_uses(session: Session, principal: Principal, project_id: str, since: datetime | None = None) -> list[Use]:
    """Return the last uses of this project by the principal's applications and own API keys after `since` (None: ever),
    newest first. Raises NotFound.
    """
    project = require_project(session, principal, project_id, Action.READ)
    after = since or datetime.fromtimestamp(0, UTC)
    clients = (
        sa.select(col(OAuthGrant.last_used_at), OAuthClient)
        .join(OAuthClient, col(OAuthClient.id) == OAuthGrant.client_id)
        .where(col(OAuthGrant.project_id) == project.id, col(OAuthGrant.user_id) == principal.user_id)
        .where(col(OAuthGrant.last_used_at) > after)
    )
    keys = (
        sa.select(col(ApiKey.last_used_at), col(ApiKey.name))
        .where(col(ApiKey.project_id) == project.id, col(ApiKey.created_by) == principal.user_id)
        .where(col(ApiKey.last_used_at) > after)
    )
    uses = [Use(moment, shown_name(client)) for moment, client in session.execute(clients)]
    uses += [Use(moment, name) for moment, name in session.execute(keys)]
    return sorted(uses, reverse=True)


def disconnect(session: Session, principal: Principal, connection_id: str) -> None:
    """End one of the principal's connections with all its tokens. Raises NotFound, Forbidden for a key or token."""
    require_session(principal)
    query = (
        sa.select(OAuthGrant, col(Project.organization_id))
        .join(Project, col(Project.id) == OAuthGrant.project_id)
        .where(col(OAuthGrant.id) == connection_id, col(OAuthGrant.user_id) == principal.user_id)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound("Connection not found.")
    grant, organization_id = row
    audit.record(
        session, Event.ACCESS_DISCONNECTED, principal.user_id, organization_id, grant.id, client_id=grant.client_id
    )
    session.execute(sa.delete(OAuthGrant).where(col(OAuthGrant.id) == grant.id))
