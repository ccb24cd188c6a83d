"""Signed-in users who open pages and send forms."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import pytest
from starlette.types import ASGIApp

from server.domain.people import sessions
from server.models import User
from server.storage.database import Database
from tests.conftest import ORIGIN, Tenant

COOKIE = "ory_kratos_session"
TAG = re.compile(r"<[^>]*>")

Fields = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Visitor:
    """A signed-in browser without script. It does not follow redirects."""

    client: httpx.AsyncClient
    tenant: Tenant

    @property
    def project(self) -> str:
        return f"/dashboard/projects/{self.tenant.project_id}"

    @property
    def organization(self) -> str:
        return f"/dashboard/organizations/{self.tenant.organization_id}"

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def see(self, path: str) -> str:
        """Return the text of a page, which must exist."""
        response = await self.client.get(path)
        assert response.status_code == 200, response.text
        return seen(response)

    async def post(self, path: str, fields: Fields | None = None, **headers: str) -> httpx.Response:
        header_fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, data=fields or {}, headers={"Origin": ORIGIN, **header_fields})

    async def do(self, path: str, fields: Fields | None = None) -> str:
        """Send a form, require that it is accepted, and return the address of the redirect."""
        response = await self.post(path, fields)
        assert response.status_code == 303, response.text
        return response.headers["location"]

    async def shown(self, path: str, fields: Fields | None = None) -> httpx.Response:
        """Send a form, require that it is accepted, and return the page to which it redirects."""
        return await self.get(await self.do(path, fields))

    async def remember(self, content: str, **metadata: object) -> str:
        body = {"messages": [{"role": "user", "content": content}], "metadata": metadata}
        response = await self.client.post("/api/memories", json=body, headers=self.tenant.auth)
        assert response.status_code == 200, response.text
        return str(response.json()["memory_id"])

    async def remember_all(self, contents: Sequence[str], **metadata: object) -> list[str]:
        """Add the memories in one request and return their ids in order."""
        memories = [{"messages": [{"role": "user", "content": content}], "metadata": metadata} for content in contents]
        response = await self.client.post("/api/memories/batch", json={"memories": memories}, headers=self.tenant.auth)
        assert response.status_code == 200, response.text
        return [result["memory_id"] for result in response.json()["results"]]


def seen(response: httpx.Response) -> str:
    """Return the text of a page on one line."""
    return " ".join(html.unescape(TAG.sub(" ", response.text)).split())


def hidden(response: httpx.Response, name: str) -> str:
    """Return the value of a hidden field."""
    field = re.search(rf'name="{name}" value="([^"]*)"', response.text)
    assert field, f"no hidden field {name}"
    return html.unescape(field[1])


@pytest.fixture
def visit(app: ASGIApp, database: Database) -> Callable[[Tenant], Visitor]:
    """Return a function that signs a user in."""

    def signed_in(tenant: Tenant) -> Visitor:
        with database.write() as session:
            value = sessions.begin(
                session, session.get_one(User, tenant.user_id), sessions.BrowserInfo(30, "Firefox/140 Linux")
            )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies={COOKIE: value})
        return Visitor(client, tenant)

    return signed_in
