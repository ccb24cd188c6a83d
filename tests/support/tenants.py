"""A user with a personal project, and keys to it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from sqlmodel import Session, select
from starlette.types import ASGIApp

from server.domain.people import users
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.models import Organization, Project
from server.storage.database import Database
from tests.support.prepared import CREATORS


@dataclass(frozen=True)
class Tenant:
    """A user with a personal project, and a read-write and a read-only key to it."""

    user_id: str
    email: str
    organization_id: str
    project_id: str
    key: str
    read_key: str

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def read_auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.read_key}"}


def create(session: Session, email: str) -> Tenant:
    user = users.register(session, email, "", None, verified=True)
    place = session.exec(select(Organization).where(Organization.owner_id == user.id)).one()
    project = session.exec(select(Project).where(Project.organization_id == place.id)).one()
    _, key = api_keys.issue(session, project, user.id, NewKey("all", ["read", "write"]))
    _, read_key = api_keys.issue(session, project, user.id, NewKey("reading", ["read"]))
    return Tenant(user.id, email, place.id, project.id, key, read_key)


CREATORS |= {name: partial(create, email=f"{name}@example.com") for name in ("alice", "bob")}


@pytest.fixture
def make_tenant(database: Database) -> Callable[[str], Tenant]:
    def make(email: str) -> Tenant:
        with database.write() as session:
            return create(session, email)

    return make


@pytest.fixture
def alice(app: ASGIApp, prepared: dict[str, Any]) -> Tenant:
    tenant: Tenant = prepared["alice"]
    return tenant


@pytest.fixture
def bob(app: ASGIApp, prepared: dict[str, Any]) -> Tenant:
    tenant: Tenant = prepared["bob"]
    return tenant
