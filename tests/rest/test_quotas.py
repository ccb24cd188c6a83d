"""A project holds no more memories and bytes than its quota, through every door, and says what to do."""

import asyncio
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from server.domain.memory import imports
from server.domain.memory.exchange.lines import Line
from server.domain.memory.imports import import_memories
from server.errors import QuotaExceeded
from server.models import Memory, Project
from server.models.base import now
from server.models.stored_size import TOTAL_SIZE
from server.settings import Settings
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller, said
from tests.support.world import World, embedder, world

__all__ = ["embedder", "world"]

MEMORIES = 5
BYTES = 2000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"quota_memories": MEMORIES, "quota_bytes": BYTES})


def assert_refused(answer: httpx.Response, *words: str) -> None:
    assert answer.status_code == 403, answer.text
    for word in (*words, "full", "Delete memories"):
        assert word in answer.json()["detail"]


def assert_counted(database: Database) -> int:
    """The counters are those of the rows. Return the bytes."""
    with database.read() as session:
        held = session.execute(sa.select(sa.func.sum(Project.memory_count), sa.func.sum(Project.memory_bytes))).one()
        rows = session.execute(sa.select(sa.func.count(), TOTAL_SIZE).select_from(Memory)).one()
    assert tuple(map(int, held)) == tuple(rows)
    return int(held[1])


async def test_the_memory_over_the_quota_is_refused(api: Caller) -> None:
    first = await api.add("one")
    for number in range(MEMORIES - 1):
        await api.add(f"another {number}")
    assert_refused(await api.post("/api/memories", said("over")), "5 of at most 5 memories", "QUOTA_MEMORIES")
    await api.delete(f"/api/memories/{first}")
    await api.add("there is room again")
    assert_refused(await api.send("POST", f"/api/memories/{first}/restore"), "5 of at most 5 memories")
    assert len((await api.get("/api/memories/trash")).json()["results"]) == 1


async def test_an_expired_memory_leaves_its_room_at_once(api: Caller, database: Database) -> None:
    for number in range(MEMORIES):
        await api.add(f"{number} " + "x" * (BYTES // MEMORIES - 10), expires_in_days=1)
    with database.write() as session:
        session.execute(sa.update(Memory).values(expires_at=now() - timedelta(seconds=1)))
    for number in range(MEMORIES):
        await api.add(f"after {number} " + "x" * (BYTES // MEMORIES - 20))
    assert_refused(await api.post("/api/memories", said("over")), "5 of at most 5 memories", "QUOTA_MEMORIES")


async def test_a_batch_over_the_quota_stores_nothing(api: Caller) -> None:
    await api.add("one")
    body = {"memories": [said(f"many {number}") for number in range(MEMORIES)]}
    assert_refused(await api.post("/api/memories/batch", body), "1 of at most 5", "needs 5 more")
    assert await api.listed() == ["one"]


async def test_text_metadata_and_messages_count(api: Caller) -> None:
    many = {"messages": [{"role": "user", "content": "x" * 500}] * 2}
    for body in (said("x" * BYTES), said("x", metadata={"note": "y" * BYTES}), many):
        assert_refused(await api.post("/api/memories", body), f"at most {BYTES:,} bytes", "QUOTA_BYTES")
    await api.add("x" * (BYTES - 10))


async def test_a_change_may_shrink_but_not_outgrow_the_quota(api: Caller, database: Database) -> None:
    memory_id = await api.add("short")
    path = f"/api/memories/{memory_id}"
    assert_refused(await api.put(path, {"text": "x" * BYTES}), "QUOTA_BYTES")
    assert_refused(await api.put(path, {"metadata": {"note": "x" * BYTES}}), "QUOTA_BYTES")
    assert await api.listed() == ["short"]
    assert (await api.put(path, {"text": "x" * (BYTES // 2)})).status_code == 200
    with database.write() as session:  # as after the quota was lowered
        session.execute(sa.update(Project).values(memory_bytes=Project.memory_bytes + BYTES))
    assert_refused(await api.put(path, {"text": "x" * (BYTES // 2 + 1)}), "QUOTA_BYTES")
    assert (await api.put(path, {"text": "x" * (BYTES // 2 - 1)})).status_code == 200


async def test_every_change_is_counted(api: Caller, database: Database) -> None:
    memory_id = await api.add("Grüße", metadata={"tags": ["ä"]})
    two = [{"role": "user", "content": "ö"}, {"role": "assistant", "content": "b"}]
    talk = (await api.post("/api/memories", {"messages": two})).json()["memory_id"]
    await api.post("/api/memories/batch", {"memories": [said("c"), said("d", user_id="ann")]})
    assert assert_counted(database) > 0
    await api.put(f"/api/memories/{memory_id}", {"metadata": {"tags": ["a", "b"], "x": None}})
    await api.put(f"/api/memories/{talk}", {"text": "no messages any more"})
    assert_counted(database)
    await api.delete(f"/api/memories/{talk}")
    await api.delete("/api/memories?user_id=ann")
    assert_counted(database)
    await api.delete("/api/memories")
    assert assert_counted(database) == 0


async def test_requests_at_the_same_time_share_the_last_place(api: Caller, database: Database) -> None:
    sent = (api.post("/api/memories", said(f"one of {number}")) for number in range(MEMORIES * 2))
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*sent))
    assert statuses == [200] * MEMORIES + [403] * MEMORIES
    assert_counted(database)


@pytest.mark.sqlite_only
async def test_an_assistant_gets_the_same_sentence(client: httpx.AsyncClient, api: Caller, alice: Tenant) -> None:
    for number in range(MEMORIES):
        await api.add(f"one {number}")
    call = {"name": "add", "arguments": {"content": "over"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {**alice.auth, "Accept": "application/json, text/event-stream"}
    answer = await client.post("/mcp", json=body, headers=headers)
    assert "QUOTA_MEMORIES" in answer.text
    assert '"isError":true' in answer.text


def lines(count: int) -> list[Line]:
    return [Line(content=f"Memory {number}.") for number in range(count)]


def test_an_import_over_the_quota_stores_nothing(world: World) -> None:
    with pytest.raises(QuotaExceeded, match="holds 0 of at most 5 memories, and this needs 6 more"):
        import_memories(world.database, world.project_id, lines(MEMORIES + 1), world.index)
    assert import_memories(world.database, world.project_id, lines(MEMORIES), world.index).stored == MEMORIES
    assert assert_counted(world.database) > 0


def test_what_an_import_has_still_to_publish_is_reserved(world: World) -> None:
    with world.database.write() as session:
        import_id = imports.begin(session, world.principal, world.project_id)
    for chunk in imports.in_chunks(lines(MEMORIES)):
        with world.database.write() as session:
            imports.stage(session, world.principal, import_id, chunk, world.index)
    with world.database.write() as session:
        imports.commit(session, world.principal, import_id)
    with pytest.raises(QuotaExceeded, match="holds 5 of at most 5"):
        world.add("no room")
