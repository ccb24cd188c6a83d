"""Callers of the REST API, which keep tests short."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from server.domain.people import sessions
from server.domain.people.sessions import BrowserInfo
from server.models import ProjectMember, ProjectRole, User
from server.storage.database import Database
from tests.conftest import Tenant


@dataclass(frozen=True)
class Caller:
    """A client with one credential."""

    client: httpx.AsyncClient
    headers: dict[str, str]

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        given = {} if body is None else {"json": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, headers={**self.headers, **named}, **given)  # type: ignore[arg-type]  # json= only

    async def get(self, path: str) -> httpx.Response:
        return await self.send("GET", path)

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return await self.send("POST", path, body, **headers)

    async def put(self, path: str, body: object) -> httpx.Response:
        return await self.send("PUT", path, body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.send("DELETE", path)

    async def add(self, content: str, **more: object) -> str:
        """Store one memory, which must be accepted, and return its id."""
        answer = await self.post("/api/memories", said(content, **more))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["memory_id"])

    async def listed(self, query: str = "") -> list[str]:
        """Return the contents on a page of the list."""
        answer = await self.get(f"/api/memories{query}")
        assert answer.status_code == 200, answer.text
        return [memory["content"] for memory in answer.json()["results"]]

    async def found(self, query: str = "", **filters: object) -> list[str]:
        """Return the contents that a search finds."""
        return [result["content"] for result in await self.results({"query": query, "filters": filters})]

    async def results(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.post("/api/memories/search", body)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results


def said(content: object, **more: object) -> dict[str, object]:
    """Return the body that stores one message."""
    return {"messages": [{"role": "user", "content": content}], **more}


@pytest.fixture
def api(client: httpx.AsyncClient, alice: Tenant) -> Caller:
    """Alice's key that may read and write."""
    return Caller(client, alice.auth)


@pytest.fixture
def reader(client: httpx.AsyncClient, alice: Tenant) -> Caller:
    """Alice's key that may only read."""
    return Caller(client, alice.read_auth)


@pytest.fixture
def stranger(client: httpx.AsyncClient, bob: Tenant) -> Caller:
    """Bob's key, to a project of his own."""
    return Caller(client, bob.auth)


@pytest.fixture
def signed_in(client: httpx.AsyncClient, database: Database) -> Callable[[Tenant], Caller]:
    """Return a function that makes a caller with a session of the tenant's user."""

    def sign_in(tenant: Tenant) -> Caller:
        with database.write() as session:
            user = session.get_one(User, tenant.user_id)
            value = sessions.begin(session, user, BrowserInfo(days=1))
        return Caller(client, {"Authorization": f"Session {value}"})

    return sign_in


@pytest.fixture
def viewer(database: Database, signed_in: Callable[[Tenant], Caller], alice: Tenant, bob: Tenant) -> Caller:
    """Bob's session, with the viewer role in Alice's project."""
    with database.write() as session:
        session.add(ProjectMember(project_id=alice.project_id, user_id=bob.user_id, role=ProjectRole.VIEWER))
    return signed_in(bob)
