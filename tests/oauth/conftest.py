"""Fixtures: people with browsers, and applications that want access."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from sqlmodel import select
from starlette.types import ASGIApp

from server.domain.people import users
from server.hashing import password_hash
from server.models import Organization, Project
from server.settings import Settings
from server.storage.database import Database
from tests.support.flows import CALLBACK, ORIGIN, PASSWORD, App, Person
from tests.support.hosts import Host, make_certificate, serving

MakePerson = Callable[[str], Awaitable[Person]]
Register = Callable[..., Awaitable[App]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(name=value): settings of this test")


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    changed: dict[str, object] = {}
    for mark in request.node.iter_markers("settings"):  # the nearest marker comes first and wins
        changed = mark.kwargs | changed
    return settings.model_copy(update=changed)


@pytest.fixture(scope="session")
def hashed_password() -> str:
    return password_hash(PASSWORD)


@pytest.fixture
async def make_person(app: ASGIApp, database: Database, hashed_password: str) -> AsyncIterator[MakePerson]:
    browsers: list[httpx.AsyncClient] = []

    async def make(email: str) -> Person:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        browser = httpx.AsyncClient(transport=transport, base_url=ORIGIN)
        browsers.append(browser)
        with database.write() as session:
            user = users.register(session, email, "", hashed_password, verified=True)
            organization = session.exec(select(Organization).where(Organization.owner_id == user.id)).one()
            project = session.exec(select(Project).where(Project.organization_id == organization.id)).one()
            return Person(browser, email, user.id, organization.id, project.id)

    yield make
    for browser in browsers:
        await browser.aclose()


@pytest.fixture
async def ann(make_person: MakePerson) -> Person:
    return await make_person("ann@example.com")


@pytest.fixture
async def ben(make_person: MakePerson) -> Person:
    return await make_person("ben@example.com")


@pytest.fixture
def register(client: httpx.AsyncClient) -> Register:
    """Register a new client as applications do; the answer's metadata is kept in the App.

    Each has a version of its own: the same public client would get the same id.
    """
    numbers = itertools.count()

    async def registered(**metadata: object) -> App:
        given: dict[str, object] = {
            "client_name": "Notes",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "software_version": str(next(numbers)),
        }
        response = await client.post("/oauth/register", json=given | metadata)
        assert response.status_code == 201, response.text
        body = response.json()
        return App(client, body["client_id"], body.get("client_secret"), body["redirect_uris"][0])

    return registered


@pytest.fixture
async def notes(register: Register) -> App:
    """A public client."""
    return await register()


@pytest.fixture
async def backend(register: Register) -> App:
    """A confidential client."""
    return await register(client_name="Backend", token_endpoint_auth_method="client_secret_basic")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def host(certificates: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    """A host whose certificate the server trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates[0]))
    async with serving(certificates[1]) as running:
        yield running
