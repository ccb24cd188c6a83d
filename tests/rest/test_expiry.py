"""From its expiry on, a memory is in no answer; it is deleted later. Pins are stored, and lists can filter by them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from server.domain.memory import changes, expiry
from server.domain.memory.exchange.export import export_memories
from server.models import Label, Memory, MemoryVersion, Piece
from server.models.base import JSON, JsonObject
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.tables import rows

FAR = "2199-01-01T00:00:00Z"


def soon(**time: int) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


@pytest.fixture
def expire(database: Database) -> Callable[[str], None]:
    """Return a function that lets a memory expire a moment ago, as the clock does."""

    def expire(memory_id: str) -> None:
        moment = datetime.now(UTC) - timedelta(seconds=1)
        with database.write() as session:
            session.execute(sa.update(Memory).where(sa.column("id") == memory_id).values(expires_at=moment))

    return expire


async def test_an_expired_memory_is_in_no_answer(
    api: Caller, alice: Tenant, database: Database, expire: Any, client: httpx.AsyncClient
) -> None:
    kept = await api.add("The red canoe is here.", tags=["boat"])
    gone = await api.add("The red canoe was there.", tags=["shed"], expires_at=FAR)
    assert (await api.get("/api/memories/stats")).json()["tag_count"] == 2
    expire(gone)
    for path in ("", "/history"):
        assert (await api.get(f"/api/memories/{gone}{path}")).status_code == 404
    for method, body in (("PUT", {"text": "x"}), ("PATCH", {"expires_at": None}), ("DELETE", None)):
        assert (await api.send(method, f"/api/memories/{gone}", body)).status_code == 404
    assert (await api.get("/api/memories")).json()["total"] == 1
    for query in ("red canoe there", "", "shed"):
        assert [one["id"] for one in await api.results({"query": query, "threshold": 0})] == [kept]
    assert await api.found("", tags=["shed"]) == []
    assert (await api.get("/api/memories/stats")).json() == {"total": 1, "this_week": 1, "tag_count": 1}
    with database.read() as session:
        assert len(list(export_memories(session, alice.project_id))) == 1
    said = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    call = {**said, "params": {"name": "add_memory", "arguments": {"content": "The red canoe was there."}}}
    headers = {**alice.auth, "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    answer = (await client.post("/mcp", json=call, headers=headers)).json()["result"]["structuredContent"]
    assert answer["message"].startswith("Remembered")
    assert answer["memory_id"] != gone


async def test_what_expired_is_deleted_with_all_that_belongs_to_it(
    api: Caller, database: Database, expire: Any
) -> None:
    await api.add("It stays.")
    gone = await api.add("It goes.", tags=["x"], expires_in_days=1)
    await api.put(f"/api/memories/{gone}", {"text": "It goes soon."})
    expire(gone)
    with database.write() as session:
        assert expiry.purge(session) == 1
        assert expiry.purge(session) == 0
    with database.read() as session:
        counts = [session.scalar(sa.select(sa.func.count()).select_from(t)) for t in (Memory, MemoryVersion, Label)]
        assert counts == [1, 0, 0]
        assert session.scalar(sa.select(sa.func.count()).select_from(Piece)) == 1
    assert (await api.get("/api/memories")).json()["total"] == 1


@pytest.mark.sqlite_only
@rows(
    "body",
    [
        {"expires_at": "2020-01-01"},
        {"expires_at": "soon"},
        {"expires_in_days": 0},
        {"expires_in_days": 36_501},
        {"expires_in_days": True},
        {"expires_in_days": 3, "expires_at": FAR},
    ],
)
async def test_a_past_moment_and_both_ways_at_once_are_refused(api: Caller, body: dict[str, Any]) -> None:
    memory_id = await api.add("x")
    for method, path in (("POST", ""), ("PATCH", f"/{memory_id}")):
        answer = await api.send(method, f"/api/memories{path}", {"content": "y", **body})
        assert answer.status_code == 400, answer.text
        assert "expires" in answer.json()["detail"]
    assert set(await api.listed()) == {"x"}


async def test_expiry_is_set_changed_and_removed(api: Caller) -> None:
    memory_id = await api.add("x", expires_at=soon(days=2))
    answer = await api.send("PATCH", f"/api/memories/{memory_id}", {"expires_in_days": 30})
    expires_at = datetime.fromisoformat(answer.json()["expires_at"])
    assert timedelta(days=29) < expires_at - datetime.now(UTC) <= timedelta(days=30)
    answer = await api.send("PATCH", f"/api/memories/{memory_id}", {"expires_at": FAR})
    assert (answer.json()["expires_at"], answer.json()["content"]) == (FAR, "x")
    answer = await api.send("PATCH", f"/api/memories/{memory_id}", {"expires_at": None})
    assert answer.json()["expires_at"] is None


async def test_pins_are_kept_changed_and_filtered(api: Caller) -> None:
    await api.add("plain")
    memory_id = await api.add("first", pinned=True)
    await api.post("/api/memories/batch", {"memories": [{"content": "second", "pinned": True}]})
    assert await api.listed("?pinned=true") == ["second", "first"]
    assert await api.listed("?pinned=false") == ["plain"]
    assert await api.found("", pinned=True) == ["second", "first"]
    answer = await api.send("PATCH", f"/api/memories/{memory_id}", {"pinned": False})
    assert answer.json()["pinned"] is False
    assert await api.listed("?pinned=true") == ["second"]


async def test_an_expiry_that_comes_while_the_change_is_made_is_kept(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_id, checked = await api.add("x", tags=["a"]), changes.checked

    def checked_late(details: JSON) -> JsonObject:
        monkeypatch.setattr(expiry, "now", lambda: datetime.now(UTC) + timedelta(days=400_000))
        return checked(details)

    monkeypatch.setattr(changes, "checked", checked_late)
    answer = await api.send("PATCH", f"/api/memories/{memory_id}", {"expires_at": FAR, "tags": "b"})
    assert (answer.status_code, answer.json().get("expires_at")) == (200, FAR)


async def test_a_field_for_the_expiry_of_others_is_named(api: Caller) -> None:
    answer = (await api.post("/api/memories", {"content": "x", "expiration_date": "2030-01-01"})).json()
    assert answer["warnings"] == ["expiration_date: is not a field; did you mean expires_at?"]
