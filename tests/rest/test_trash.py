"""A deleted memory is in no answer, and can be restored from the trash completely."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from server.domain.memory import trash
from server.models import TrashedMemory
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.world import eventually


async def listed(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = (await caller.get(f"/api/memories/trash{query}")).json()
    assert answer["total"] >= len(answer["results"])
    results: list[dict[str, Any]] = answer["results"]
    return results


async def restore(caller: Caller, memory_id: str) -> int:
    return (await caller.send("POST", f"/api/memories/{memory_id}/restore")).status_code


@pytest.fixture
def age(database: Database) -> Callable[[str], None]:
    """Return a function that ends a memory's time in the trash."""

    def age(memory_id: str) -> None:
        moment = datetime.now(UTC) - timedelta(seconds=1)
        with database.write() as session:
            session.execute(sa.update(TrashedMemory).where(sa.column("id") == memory_id).values(deleted_until=moment))

    return age


async def test_a_deleted_memory_comes_back_as_it_was(api: Caller, alice: Tenant) -> None:
    special = {"metadata": {"tags": "boat,red", "n": 1}, "pinned": True, "user_id": "ann", "expires_in_days": 90}
    memory_id = await api.add("The red canoe.", created_at="2024-05-06T07:08:09Z", **special)
    await api.put(f"/api/memories/{memory_id}", {"text": "The blue canoe."})
    paths = (f"/api/memories/{memory_id}", f"/api/memories/{memory_id}/history", "/api/memories/stats")
    before = [(await api.get(path)).json() for path in paths]
    assert (await api.delete(f"/api/memories/{memory_id}")).json() == {"message": "Memory deleted successfully"}
    assert (await api.get(f"/api/memories/{memory_id}")).status_code == 404
    assert await api.found("canoe") == await api.listed() == []
    assert (await api.get("/api/memories/stats")).json() == {"total": 0, "this_week": 0, "tag_count": 0}
    (kept,) = await listed(api)
    assert (kept["content"], kept["deleted_by"], kept["deleted_through"]["name"]) == (
        "The blue canoe.", alice.user_id, "all",
    )  # fmt: skip
    left = datetime.fromisoformat(kept["deleted_until"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert await restore(api, memory_id) == 200
    assert [(await api.get(path)).json() for path in paths] == before
    assert await api.found("canoe", tags=["boat"]) == ["The blue canoe."]
    assert await listed(api) == []


async def test_the_trash_promises_no_return_after_the_expiry(api: Caller) -> None:
    memory_id = await api.add("The red canoe.", expires_in_days=1)
    expires_at = (await api.get(f"/api/memories/{memory_id}")).json()["expires_at"]
    await api.delete(f"/api/memories/{memory_id}")
    (kept,) = await listed(api)
    assert kept["deleted_until"] == expires_at


async def test_what_is_deleted_for_good_does_not_come_back(api: Caller) -> None:
    at_once, later = await api.add("x"), await api.add("y")
    assert (await api.delete(f"/api/memories/{at_once}?permanent=true")).status_code == 200
    await api.delete(f"/api/memories/{later}")
    assert (await api.delete(f"/api/memories/{later}")).status_code == 404
    assert (await api.delete(f"/api/memories/{later}?permanent=true")).status_code == 200
    for memory_id in (at_once, later):
        assert await restore(api, memory_id) == 404
    assert await listed(api) == []


@pytest.mark.sqlite_only
async def test_only_who_may_write_restores_and_nobody_else_sees_the_trash(
    api: Caller, reader: Caller, stranger: Caller
) -> None:
    memory_id = await api.add("x")
    await api.delete(f"/api/memories/{memory_id}")
    assert await restore(reader, memory_id) == 403
    assert len(await listed(reader)) == 1
    assert await restore(stranger, memory_id) == 404
    assert await listed(stranger) == []
    assert (await stranger.delete(f"/api/memories/{memory_id}?permanent=true")).status_code == 404
    answer = await api.send("POST", f"/api/memories/{memory_id}/restore?project_id=proj_{'0' * 32}")
    assert answer.status_code == 404
    assert await restore(api, memory_id) == 200
    answer = await api.send("POST", f"/api/memories/{memory_id}/restore")
    assert (answer.status_code, answer.json()["detail"][:8]) == (400, "version:")


async def test_a_project_chooses_how_long_its_trash_keeps(
    api: Caller, alice: Tenant, signed_in: Callable[[Tenant], Caller]
) -> None:
    admin, path = signed_in(alice), f"/api/projects/{alice.project_id}"
    assert (await admin.get(path)).json()["trash_days"] is None
    answer = await admin.send("PATCH", path, {"trash_days": 0})
    assert (answer.status_code, answer.json()["trash_days"]) == (200, 0)
    assert answer.json()["updatedAt"] > answer.json()["createdAt"]
    await api.delete(f"/api/memories/{await api.add('x')}")
    assert await listed(api) == []
    assert (await admin.send("PATCH", path, {"trash_days": 90, "name": "Other"})).json()["name"] == "Other"
    await api.delete(f"/api/memories/{await api.add('x')}")
    (kept,) = await listed(api)
    assert datetime.fromisoformat(kept["deleted_until"]) - datetime.now(UTC) > timedelta(days=89)
    assert (await admin.send("PATCH", path, {"trash_days": None})).json()["trash_days"] is None
    for body in ({"trash_days": 91}, {"trash_days": -1}, {"trash_days": True}, {"trash_days": "x"}, {}):
        assert (await admin.send("PATCH", path, body)).status_code == 400, body
    assert (await api.send("PATCH", path, {"trash_days": 1})).status_code == 403


async def test_deleting_all_empties_the_trash_of_the_same_memories(api: Caller) -> None:
    for user in ("ann", "ben"):
        await api.delete(f"/api/memories/{await api.add('x', user_id=user)}")
        await api.add("y", user_id=user)
    assert (await api.delete("/api/memories?user_id=ann")).json()["deleted_count"] == 1
    assert [kept["user_id"] for kept in await listed(api)] == ["ben"]
    assert await listed(api, "?user_id=ann") == []
    assert (await api.delete("/api/memories")).json()["deleted_count"] == 1
    assert await listed(api) == []


async def test_what_has_been_in_the_trash_long_enough_is_gone(
    api: Caller, database: Database, age: Callable[[str], None]
) -> None:
    old, new = await api.add("x"), await api.add("y")
    for memory_id in (old, new):
        await api.delete(f"/api/memories/{memory_id}")
    age(old)
    assert [kept["id"] for kept in await listed(api)] == [new]
    assert await restore(api, old) == 404
    with database.write() as session:
        assert (trash.purge(session), trash.purge(session)) == (1, 0)
    with database.read() as session:
        assert session.scalars(sa.select(TrashedMemory.id)).all() == [new]  # type: ignore[call-overload]


async def test_of_restorations_at_the_same_moment_one_wins(api: Caller) -> None:
    memory_id = await api.add("x")
    await api.delete(f"/api/memories/{memory_id}")
    assert sorted(await asyncio.gather(*(restore(api, memory_id) for _ in range(4)))) in (
        [200, 404, 404, 404], [200, 400, 404, 404], [200, 400, 400, 404], [200, 400, 400, 400],
    )  # fmt: skip
    assert (await api.get("/api/memories")).json()["total"] == 1
    deletions = await asyncio.gather(*(api.delete(f"/api/memories/{memory_id}") for _ in range(4)))
    assert sorted(answer.status_code for answer in deletions) == [200, 404, 404, 404]
    assert len(await listed(api)) == 1


async def test_the_trash_goes_with_its_project(
    api: Caller, alice: Tenant, database: Database, signed_in: Callable[[Tenant], Caller]
) -> None:
    await api.delete(f"/api/memories/{await api.add('x')}")
    assert (await signed_in(alice).delete(f"/api/projects/{alice.project_id}")).status_code == 200

    def is_empty() -> bool:
        with database.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(TrashedMemory)) == 0

    eventually(is_empty)
