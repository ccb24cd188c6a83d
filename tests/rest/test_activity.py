"""Members can read what was done with the memories of their project, by which source and user."""

import gc
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from server import waits
from server.domain.memory import activity
from server.models import ActivityEvent
from server.models.base import new_id, now
from server.shell import activity_log
from server.shell.activity_log import MOST_WAITING, ActivityLog
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.world import eventually

Event = dict[str, Any]


@pytest.fixture
def events(api: Caller, alice: Tenant) -> Any:
    """Return a function that reads the events of Alice's project."""

    async def read(query: str = "", caller: Caller = api) -> list[Event]:
        answer = await caller.get(f"/api/projects/{alice.project_id}/activity{query}")
        assert answer.status_code == 200, answer.text
        listed: list[Event] = answer.json()["events"]
        return listed

    return read


@pytest.mark.sqlite_only
async def test_the_command_line_is_in_the_activity(
    alice: Tenant, events: Any, command: Callable[..., Awaitable[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text('{"content": "The red canoe."}\n{"content": "A kayak."}\n')
    nothing = tmp_path / "nothing.jsonl"
    nothing.write_text("")
    assert await command("import", "--project", alice.project_id, str(file)) == 0
    assert await command("export", "--project", alice.project_id) == 0
    exported, imported = await events("?source=command")
    assert [(event["kind"], event["count"]) for event in (exported, imported)] == [("export", 2), ("import", 2)]
    assert exported["source"] == {"kind": "command", "id": "command", "name": "Command line"}
    assert (exported["actor_id"], exported["actor_name"]) == (None, None)
    assert [event["id"] for event in await events(f"?source={imported['source']['id']}")] == [imported["id"]]
    assert await command("import", "--project", alice.project_id, str(nothing)) == 0
    assert len(await events("?source=command")) == 2
    monkeypatch.setenv("SELFMEMORY_ACTIVITY_DAYS", "0")
    assert await command("export", "--project", alice.project_id) == 0
    assert len(await events("?source=command")) == 2


async def test_every_read_and_write_is_an_event(api: Caller, alice: Tenant, events: Any) -> None:
    first = await api.add("The red canoe.")
    answer = await api.post("/api/memories/batch", {"memories": [{"content": "x"}, {"content": "y"}]})
    batch = [created["memory_id"] for created in answer.json()["results"]]
    await api.send("PATCH", f"/api/memories/{first}", {"tags": "boat"})
    await api.post(f"/api/memories/{first}/restore", {"version": 1})
    await api.get(f"/api/memories/{first}")
    await api.results({"query": "red canoe", "tags": "none"})
    await api.get("/api/memories?limit=1")
    await api.get("/api/memories/context?budget=200")
    await api.delete(f"/api/memories/{first}")
    await api.send("POST", f"/api/memories/{first}/restore")
    await api.delete("/api/memories")
    happened = await events()
    assert [(event["kind"], event["count"], event["query"]) for event in happened] == [
        ("delete", 3, None), ("restore", 1, None), ("delete", 1, None), ("read", 3, None), ("list", 1, None),
        ("search", 0, "red canoe"), ("read", 1, None), ("restore", 1, None), ("update", 1, None), ("add", 2, None),
        ("add", 1, None),
    ]  # fmt: skip
    assert happened[-2]["memory_ids"] == batch
    newest = happened[0]
    assert (newest["source"]["kind"], newest["source"]["name"], newest["actor_id"]) == ("api_key", "all", alice.user_id)
    assert newest["id"].startswith("act_")
    assert newest["created_at"].endswith("Z")
    assert [event["kind"] for event in await events(f"?memory_id={batch[0]}&kind=add")] == ["add"]


async def test_every_memory_of_a_batch_is_found_in_the_activity(api: Caller, events: Any) -> None:
    answer = await api.post("/api/memories/batch", {"memories": [{"content": f"x {n}"} for n in range(250)]})
    ids = [created["memory_id"] for created in answer.json()["results"]]
    for memory_id in (ids[0], ids[100], ids[-1]):
        (event,) = await events(f"?memory_id={memory_id}")
        assert (event["kind"], event["count"], event["memory_ids"]) == ("add", 250, ids[:100])


async def test_events_before_a_memory_are_not_searched_for_it(
    api: Caller, alice: Tenant, events: Any, database: Database
) -> None:
    """But a clock that was set back hides none."""
    memory_id = await api.add("The red canoe.")
    (added,) = await events(f"?memory_id={memory_id}")
    with database.write() as session:
        for hours in (23, 48):
            row = session.get_one(ActivityEvent, added["id"])
            fields = row.model_dump(warnings=False) | {
                "id": new_id("act_", now() - timedelta(hours=hours)),
                "query": f"{hours}",
            }
            session.add(ActivityEvent(**fields))
    assert [event["query"] for event in await events(f"?memory_id={memory_id}")] == [None, "23"]


async def test_the_activity_of_a_memory_is_found_after_its_clock_was_set_back(
    api: Caller, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time_ns
    with monkeypatch.context() as ahead:
        ahead.setattr("server.models.base.time.time_ns", lambda: real() + 3 * 86_400 * 10**9)
        memory_id = await api.add("The red canoe.")
    await api.delete(f"/api/memories/{memory_id}")
    assert [event["kind"] for event in await events(f"?memory_id={memory_id}")] == ["add", "delete"]


async def test_emptying_a_trash_is_an_event(api: Caller, events: Any) -> None:
    await api.delete(f"/api/memories/{await api.add('The red canoe.')}")
    assert (await api.delete("/api/memories")).json()["deleted_count"] == 0
    assert [(event["kind"], event["count"]) for event in await events("?kind=delete")] == [("delete", 1), ("delete", 1)]
    assert (await api.delete("/api/memories")).json()["deleted_count"] == 0
    assert len(await events("?kind=delete")) == 2


async def test_events_are_filtered_and_paged(
    api: Caller, reader: Caller, alice: Tenant, signed_in: Callable[[Tenant], Caller], events: Any
) -> None:
    memory_id = await api.add("x")
    await reader.get(f"/api/memories/{memory_id}")
    await signed_in(alice).get(f"/api/memories/{memory_id}")
    assert [event["source"]["name"] for event in await events("?kind=read")] == ["Dashboard", "reading"]
    assert [event["kind"] for event in await events("?source=session")] == ["read"]
    (mine,) = await events("?kind=add")
    assert [event["id"] for event in await events(f"?source={mine['source']['id']}")] == [mine["id"]]
    ids = [event["id"] for event in await events()]
    assert [event["id"] for event in await events(f"?limit=1&before={ids[0]}")] == ids[1:2]
    for query in ("?kind=look", "?before=evt_1", "?sources=session", "?source=me"):
        assert (await api.get(f"/api/projects/{alice.project_id}/activity{query}")).status_code == 400


async def test_members_read_it_and_nobody_else(api: Caller, alice: Tenant, viewer: Caller, stranger: Caller) -> None:
    await api.add("x")
    path = f"/api/projects/{alice.project_id}/activity"
    (event,) = (await viewer.get(path)).json()["events"]
    assert event["kind"] == "add"
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.get(path.replace(alice.project_id, "proj_" + "0" * 32))).json() == (
        await stranger.get(path)
    ).json()


@pytest.mark.sqlite_only
async def test_a_failure_is_no_event(api: Caller, reader: Caller, events: Any) -> None:
    memory_id = await api.add("x")
    await reader.delete(f"/api/memories/{memory_id}")
    await api.send("PATCH", f"/api/memories/{memory_id}", {"tags": []})  # nothing changes
    assert [event["kind"] for event in await events()] == ["add"]


def noted(project_id: str, **more: object) -> activity.Noted:
    source = {"source_kind": "api_key", "source_id": "key_1", "source_name": "one"}
    event = {"id": new_id("act_"), "project_id": project_id, "kind": "search", "actor_id": "user_1", "count": 0}
    return {**event, **source, "memory_ids": [], "query": None, "created_at": now(), **more}


async def test_old_events_go_and_those_of_deleted_projects_are_not_stored(
    api: Caller, alice: Tenant, database: Database
) -> None:
    old = new_id("act_", now() - timedelta(days=31))
    with database.write() as session:
        activity.store(session, [noted(alice.project_id, id=old), noted("proj_gone"), noted(alice.project_id)])
        assert activity.remove_old(session, 30) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(ActivityEvent)) == 1
        assert activity.remove_old(session, 0) == 1


@pytest.mark.sqlite_only
def test_what_has_no_room_is_dropped_and_logged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    log = ActivityLog(database, days=30)
    log.add(noted("proj_gone") for _ in range(MOST_WAITING + 3))
    with caplog.at_level(logging.WARNING):
        log.flush()
    assert [record.getMessage() for record in caplog.records] == ["activity was dropped"]
    off = ActivityLog(database, days=0)
    off.add([noted("proj_gone")])
    assert not off._waiting


def test_events_that_cannot_be_stored_are_dropped_and_do_not_end_the_log(
    database: Database, alice: Tenant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_log, "INTERVAL_SECONDS", 0.01)
    dropped: list[None] = []
    log = ActivityLog(database, days=30, count_dropped=lambda: dropped.append(None))
    log.start()
    log.add([noted(alice.project_id, memory_ids=[object()])])
    eventually(lambda: bool(dropped))
    log.add([noted(alice.project_id)])
    eventually(lambda: not log.waiting)
    log.close()
    assert "activity was dropped" in caplog.text


def test_events_may_be_added_at_any_moment_of_storing(database: Database, alice: Tenant) -> None:
    """A garbage collection lets other threads run in the middle of a statement."""
    log = ActivityLog(database, days=30)
    log.add([noted(alice.project_id)])
    left = [noted(alice.project_id) for _ in range(200)]
    thresholds = gc.get_threshold()

    def add_one(_phase: str, _info: dict[str, int]) -> None:
        log.add([left.pop()] if left else [])

    gc.callbacks.append(add_one)
    gc.set_threshold(1)
    try:
        log.flush()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(add_one)
    log.flush()
    assert log.waiting == 0
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ActivityEvent)) == 201 - len(left)


@pytest.mark.sqlite_only
def test_many_who_wait_for_the_log_wait_no_longer_than_one(
    database: Database, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "WAIT_SECONDS", 1.0)
    log = ActivityLog(database, days=30)
    log.add([noted(alice.project_id)])

    def read() -> None:
        waits.begin()
        log.flush()

    with database.write(), ThreadPoolExecutor(6) as readers:
        began = time.monotonic()
        wait([readers.submit(read) for _ in range(6)])
        assert time.monotonic() - began < 5  # each alone: 1
    assert log.waiting == 1
