"""Every memory and version names its source."""

from collections.abc import Callable
from typing import Any

import pytest

from server.domain.memory.source import short_name
from server.models import Project, User
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.team import authorize

Memory = dict[str, Any]


async def read(caller: Caller, memory_id: str, project_id: str = "") -> Memory:
    memory: Memory = (await caller.get(f"/api/memories/{memory_id}")).json()
    return memory


def application(database: Database, tenant: Tenant, client: Caller, name: str) -> Caller:
    """Return a caller with an access token of an application with this name."""
    with database.write() as session:
        user, project = session.get_one(User, tenant.user_id), session.get_one(Project, tenant.project_id)
        token = authorize(session, user, project, name)
    return Caller(client.client, {"Authorization": f"Bearer {token}"})


async def test_each_kind_of_credential_is_named(
    api: Caller, alice: Tenant, database: Database, signed_in: Callable[[Tenant], Caller]
) -> None:
    app = application(database, alice, api, "Claude\u202e Code\n")
    session = signed_in(alice)
    ids = [await api.add("by a key"), await app.add("by an app")]
    ids.append(await session.add("by a person", project_id=alice.project_id))
    sources = [(await read(api, memory_id))["source"] for memory_id in ids]
    assert [(source["kind"], source["name"]) for source in sources] == [
        ("api_key", "all"), ("application", "Claude Code"), ("session", "Dashboard"),
    ]  # fmt: skip
    assert [source["id"][:4] for source in sources] == ["key_", "con_", "ses_"]
    for memory_id, source in zip(ids, sources, strict=True):
        for wanted in (source["kind"], source["id"]):
            assert [memory["id"] for memory in await api.results({"query": "by", "source": wanted})] == [memory_id]
            listed = (await api.get(f"/api/memories?source={wanted}")).json()
            assert ([memory["id"] for memory in listed["results"]], listed["total"]) == ([memory_id], 1)


async def test_each_version_has_its_own_source(api: Caller, alice: Tenant, database: Database) -> None:
    app = application(database, alice, api, "Cursor")
    memory_id = await api.add("first")
    await app.put(f"/api/memories/{memory_id}", {"text": "second"})
    await api.send("PATCH", f"/api/memories/{memory_id}", {"content": "third"})
    versions = (await api.get(f"/api/memories/{memory_id}/history")).json()["results"]
    assert [(one["content"], one["source"]["name"]) for one in versions] == [
        ("third", "all"), ("second", "Cursor"), ("first", "all"),
    ]  # fmt: skip
    assert (await read(api, memory_id))["source"]["kind"] == "api_key"


async def test_a_batch_has_the_source_of_its_credential(api: Caller) -> None:
    texts = [f"Memory number {n}. " * 40 for n in range(200)]
    answer = await api.post("/api/memories/batch", {"memories": [{"content": text} for text in texts]})
    assert answer.status_code == 200
    assert (await api.get("/api/memories?source=api_key")).json()["total"] == 200


@pytest.mark.sqlite_only
async def test_a_source_that_is_none_is_refused(api: Caller) -> None:
    for wanted in ("key", "mem_" + "0" * 32, "Claude"):
        listing = await api.get(f"/api/memories?source={wanted}")
        searching = await api.post("/api/memories/search", {"query": "x", "filters": {"source": wanted}})
        for answer in (listing, searching):
            assert answer.status_code == 400
            assert "must be api_key, application, session, import" in answer.json()["detail"]


def test_a_name_stays_on_its_line() -> None:
    assert short_name("  Claude\x00\n\u202eCode\u2028 ") == "Claude Code"
