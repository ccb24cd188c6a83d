"""The same text within a day does not become a second memory, even from simultaneous callers."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from server.models import Memory
from server.models.base import now
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.tables import rows
from tests.tools.conftest import MODERN, Mcp

TEXT = "Anna is allergic to walnuts."


@pytest.fixture
def mcp(client: httpx.AsyncClient, alice: Tenant) -> Mcp:
    return Mcp(client, alice.auth, MODERN)


async def total(mcp: Mcp) -> int:
    return int((await mcp.call("list_memories"))["total"])


async def test_the_same_text_again_is_already_remembered(mcp: Mcp) -> None:
    first = await mcp.call("add_memory", content=TEXT, tags="health")
    for labels in ({}, {"tags": "health"}, {"tags": ["HEALTH"]}):
        again = await mcp.call("add_memory", content=TEXT, **labels)
        assert again["memory_id"] == first["memory_id"]
        assert again["message"] == f"This was already remembered, as {first['memory_id']}."
    assert await total(mcp) == 1
    assert (await history_of(mcp, first["memory_id"]))[0]["version"] == 1


async def history_of(mcp: Mcp, memory_id: str) -> list[dict[str, Any]]:
    answer = await mcp.client.get(f"/api/memories/{memory_id}/history", headers=mcp.headers)
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def test_what_was_null_gets_the_new_value(mcp: Mcp) -> None:
    await mcp.add(TEXT, metadata={"topic_category": None, "mood": None})
    again = await mcp.call("add_memory", content=TEXT, topic_category="people", metadata={"mood": "calm"})
    assert again["message"].endswith("; what was new was added to it.")
    assert await mcp.found("walnuts", topic_category="people", metadata={"mood": "calm"}) == [TEXT]


async def test_new_labels_are_added_to_it_and_old_ones_stay(mcp: Mcp) -> None:
    old = {"tags": "health, food", "topic_category": "people", "metadata": {"source": "phone"}}
    memory_id = await mcp.add(TEXT, **old)
    more = {"tags": ["food", "nuts"], "people_mentioned": "Anna", "topic_category": "other"}
    again = await mcp.call("add_memory", content=TEXT, **more, metadata={"source": "desk", "mood": "calm"})
    assert again == {
        "memory_id": memory_id,
        "message": f"This was already remembered, as {memory_id}; what was new was added to it. "
        "Its topic_category and metadata.source stay as they were: use update_memory to change them.",
    }
    for label in ({"tags": "health"}, {"tags": "nuts"}, {"people_mentioned": "anna"}, {"topic_category": "people"}):
        assert await mcp.found("walnuts", **label) == [TEXT]
    for about in ({"source": "phone"}, {"mood": "calm"}):
        assert await mcp.found("walnuts", metadata=about) == [TEXT]
    assert await mcp.found("walnuts", topic_category="other") == []
    assert await total(mcp) == 1


async def test_a_pin_is_added_to_it_and_not_called_a_label(mcp: Mcp) -> None:
    memory_id = await mcp.add(TEXT, tags="health")
    again = await mcp.call("add_memory", content=TEXT, pinned=True)
    assert again["message"] == f"This was already remembered, as {memory_id}; what was new was added to it."
    assert [memory["id"] for memory in (await mcp.call("list_memories", pinned=True))["results"]] == [memory_id]


@pytest.mark.sqlite_only
@rows(
    ("old", "new", "days"),
    [
        ({"expires_in_days": 3}, {}, None),
        ({"expires_in_days": 3}, {"expires_in_days": 30}, 30),
        ({"expires_in_days": 3}, {"pinned": True}, None),
    ],
)
async def test_it_stays_as_long_as_the_longest_of_the_callers_wants(
    mcp: Mcp, old: dict[str, object], new: dict[str, object], days: int | None
) -> None:
    memory_id = await mcp.add(TEXT, **old)
    again = await mcp.call("add_memory", content=TEXT, **new)
    assert again["message"] == f"This was already remembered, as {memory_id}; what was new was added to it."
    memory = (await mcp.client.get(f"/api/memories/{memory_id}", headers=mcp.headers)).json()
    expiry = memory["expires_at"] and datetime.fromisoformat(memory["expires_at"]) - now()
    assert expiry is None if days is None else timedelta(days=days - 1) < expiry < timedelta(days=days)
    await mcp.call("delete_memory", id=memory_id, permanent=True)


YESTERDAY = (now() - timedelta(hours=20)).isoformat()
TODAY = (now() - timedelta(hours=2)).isoformat()


@pytest.mark.sqlite_only
@rows(
    ("old", "new", "kept"),
    [
        ({"topic_category": "a"}, {"topic_category": "b"}, "topic_category stays as it was"),
        ({"topic_category": "a"}, {"metadata": {"topic_category": "b"}}, "topic_category stays as it was"),
        ({"metadata": {"n": 1}}, {"metadata": {"n": True}}, "metadata.n stays as it was"),
        ({"metadata": {"n": {"a": 1}}}, {"metadata": {"n": {"a": 2}}}, "metadata.n stays as it was"),
        ({"metadata": {"a": 1, "b": 1, "c": 1}}, {"metadata": {"a": 2, "b": 2, "c": 2}},
         "metadata.a, metadata.b and metadata.c stay as they were"),
        ({}, {"created_at": TODAY}, "created_at stays as it was"),
        ({"created_at": TODAY}, {"created_at": YESTERDAY}, "created_at stays as it was"),
        ({"created_at": TODAY, "topic_category": "a"}, {"created_at": YESTERDAY, "topic_category": "b"},
         "topic_category and created_at stay as they were"),
        ({}, {"expires_in_days": 30}, "expires_in_days stays as it was"),
        ({"expires_in_days": 30}, {"expires_in_days": 28}, "expires_in_days stays as it was"),
        ({"created_at": TODAY}, {"created_at": YESTERDAY, "expires_in_days": 30},
         "created_at and expires_in_days stay as they were"),
        ({"expires_in_days": 30}, {"expires_in_days": 30}, None),
        ({"topic_category": "a"}, {"topic_category": " A "}, None),
        ({"topic_category": "a", "tags": "t"}, {"tags": "T"}, None),
        ({"created_at": TODAY}, {"created_at": TODAY}, None),
        ({"created_at": TODAY}, {}, None),
        ({"metadata": {"n": 1}}, {"metadata": {"n": 1}}, None),
        ({"metadata": {"n": [1, {"a": None}]}}, {"metadata": {"n": [1.0, {"a": None}]}}, None),
    ],
)  # fmt: skip
async def test_what_is_not_taken_is_said(
    mcp: Mcp, old: dict[str, object], new: dict[str, object], kept: str | None
) -> None:
    memory_id = await mcp.add(TEXT, **old)
    again = await mcp.call("add_memory", content=TEXT, **new)
    said = f"This was already remembered, as {memory_id}."
    advice = "use update_memory to change " + ("them" if " stay " in (kept or "") else "it")
    if fixed := [name for name in ("created_at", "expires_in_days") if name in (kept or "")]:
        advice = f"update_memory changes all but {' and '.join(fixed)}"
    assert again["message"] == (f"{said} Its {kept}: {advice}." if kept else said)
    assert (await history_of(mcp, memory_id))[0]["version"] == 1
    await mcp.call("delete_memory", id=memory_id, permanent=True)


async def test_labels_that_have_no_room_are_refused(mcp: Mcp) -> None:
    memory_id = await mcp.add(TEXT, metadata={"a": "x" * 9_000})
    refused = await mcp.refusal("add_memory", content=TEXT, metadata={"b": "x" * 9_000})
    assert refused == "metadata: must be at most 16 KB."
    assert set((await mcp.call("fetch", id=memory_id))["metadata"]) == {"a"}


async def test_another_text_is_another_memory(mcp: Mcp) -> None:
    for text in (TEXT, TEXT.upper(), TEXT.replace(" ", "  ")):
        await mcp.add(text)
    assert await total(mcp) == 3


@pytest.mark.parametrize("first", [TEXT, f" {TEXT}\n"])
async def test_white_space_around_a_text_makes_no_other(mcp: Mcp, first: str) -> None:
    memory_id = await mcp.add(first)
    for text in (TEXT, f"{TEXT} ", f"\n\t{TEXT}\r\n", f"\u00a0{TEXT}\u3000"):
        assert await mcp.add(text) == memory_id
    assert (await mcp.call("fetch", id=memory_id))["text"] == first


async def test_after_a_day_it_is_another_memory(mcp: Mcp, database: Database) -> None:
    first = await mcp.add(TEXT)
    set_back(database, timedelta(hours=23, minutes=59))
    assert await mcp.add(TEXT) == first
    set_back(database, timedelta(hours=24, minutes=1))
    assert await mcp.add(TEXT) != first


def set_back(database: Database, age: timedelta) -> None:
    with database.write() as session:
        session.execute(sa.update(Memory).values(created_at=now() - age))


async def test_what_is_brought_in_is_compared_by_its_own_time(mcp: Mcp) -> None:
    march = await mcp.add(TEXT, created_at="2024-03-01T10:00:00Z")
    assert await mcp.add(TEXT, created_at="2024-03-02T09:00:00Z") == march
    others = [await mcp.add(TEXT, created_at=day) for day in ("2024-05-01", "2024-01-01")]
    assert len({march, *others, await mcp.add(TEXT)}) == 4


async def test_only_the_same_project_and_end_user_count(mcp: Mcp, client: httpx.AsyncClient, bob: Tenant) -> None:
    body = {"messages": [{"role": "user", "content": TEXT}], "user_id": "u1"}
    answer = await client.post("/api/memories", json=body, headers=mcp.headers)
    first = await mcp.add(TEXT)
    assert first != answer.json()["memory_id"]
    assert await Mcp(client, bob.auth, MODERN).add(TEXT) != first


async def test_a_text_that_was_deleted_or_changed_is_remembered_again(mcp: Mcp) -> None:
    first = await mcp.add(TEXT)
    await mcp.call("delete_memory", id=first)
    second = await mcp.add(TEXT)
    await mcp.call("update_memory", id=second, content="Anna is allergic to peanuts.")
    assert len({first, second, await mcp.add(TEXT)}) == 3


async def test_the_same_text_at_the_same_moment_is_one_memory(mcp: Mcp) -> None:
    ids = await asyncio.gather(*(mcp.add(TEXT, tags=[f"t{number}"]) for number in range(8)))
    assert len(set(ids)) == 1
    assert await total(mcp) == 1
    for number in range(8):
        assert await mcp.found("walnuts", tags=f"t{number}") == [TEXT]


async def test_changes_at_the_same_moment_are_all_merged(mcp: Mcp) -> None:
    memory_id = await mcp.add(TEXT)
    changes = (mcp.call("update_memory", id=memory_id, metadata={f"k{number}": number}) for number in range(8))
    await asyncio.gather(*changes, mcp.call("update_memory", id=memory_id, content="Anna avoids walnuts."))
    fetched = await mcp.call("fetch", id=memory_id)
    assert fetched["text"] == "Anna avoids walnuts."
    assert fetched["metadata"] == {f"k{number}": number for number in range(8)}
