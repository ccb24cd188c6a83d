"""An admin can undo what one credential did since a given time, but nothing that others did afterwards."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory import revert, versions
from server.domain.memory.revert import Reversion
from server.models import MemoryVersion, Project, User
from server.models.base import now
from server.principal import CredentialKind, Principal
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.team import authorize
from tests.tools.conftest import MODERN, Mcp

NONE = {"adds": 0, "changes": 0, "deletions": 0, "skipped": 0}


@dataclass(frozen=True)
class Scene:
    """Memories of before, an application that works on them from `since` on, and an admin."""

    api: Caller
    app: Caller
    admin: Caller
    path: str
    app_id: str
    since: datetime
    ids: list[str]

    async def revert(self, **more: object) -> dict[str, Any]:
        body = {"source_id": self.app_id, "since": self.since.isoformat(), **more}
        answer = await self.admin.post(self.path, body)
        assert answer.status_code == 200, answer.text
        counts: dict[str, Any] = answer.json()
        return counts

    async def memories(self) -> dict[str, Any]:
        """Return the memories by id, as far as an undoing restores them."""
        listed = (await self.api.get("/api/memories?limit=100")).json()["results"]
        kept = ("content", "metadata", "pinned", "expires_at", "created_at", "source", "user_id")
        return {memory["id"]: {name: memory[name] for name in kept} for memory in listed}


@pytest.fixture
async def scene(api: Caller, alice: Tenant, database: Database, signed_in: Callable[[Tenant], Caller]) -> Scene:
    with database.write() as session:
        user, project = session.get_one(User, alice.user_id), session.get_one(Project, alice.project_id)
        token = authorize(session, user, project, "Cursor")
    app = Caller(api.client, {"Authorization": f"Bearer {token}"})
    ids = [await api.add(f"Memory {number}.", metadata={"tags": "before"}) for number in range(4)]
    probe = await app.add("An earlier one of the application.")
    app_id = (await api.get(f"/api/memories/{probe}")).json()["source"]["id"]
    path = f"/api/projects/{alice.project_id}/revert"
    return Scene(api, app, signed_in(alice), path, app_id, now(), [*ids, probe])


async def work(scene: Scene) -> None:
    """Let the application add three memories, change two, delete one, and change and delete another."""
    for number in range(3):
        await scene.app.add(f"Wrong {number}.", created_at="2024-01-01")
    await scene.app.put(f"/api/memories/{scene.ids[0]}", {"text": "Wrong."})
    await scene.app.send("PATCH", f"/api/memories/{scene.ids[0]}", {"tags": ["worse"], "pinned": True})
    await scene.app.send("PATCH", f"/api/memories/{scene.ids[4]}", {"expires_in_days": 1})
    await scene.app.delete(f"/api/memories/{scene.ids[1]}")
    await scene.app.put(f"/api/memories/{scene.ids[2]}", {"text": "Wrong."})
    await scene.app.delete(f"/api/memories/{scene.ids[2]}")


async def test_everything_is_as_before(scene: Scene) -> None:
    before = await scene.memories()
    await work(scene)
    done = {"adds": 3, "changes": 3, "deletions": 2, "skipped": 0}
    changed = await scene.memories()
    assert await scene.revert(dry_run=True) == {"dry_run": True, **done}
    assert await scene.memories() == changed != before
    assert await scene.revert() == {"dry_run": False, **done}
    assert await scene.memories() == before
    assert await scene.revert() == {"dry_run": False, **NONE}
    trashed = (await scene.api.get("/api/memories/trash")).json()["results"]
    assert sorted(memory["content"] for memory in trashed) == ["Wrong 0.", "Wrong 1.", "Wrong 2."]


async def test_a_person_sees_what_an_application_did_and_takes_it_back(scene: Scene) -> None:
    """From the tools of a model to the undo, over both doors."""
    app, activity = Mcp(scene.api.client, scene.app.headers, MODERN), scene.path.replace("revert", "activity")
    pinned = await scene.api.add("My door code changes on Monday.", pinned=True)
    before = await scene.memories()
    assert (await app.call("context"))["memories"][0]["id"] == pinned
    await app.call("fetch", id=pinned)
    wrong = [await app.add(f"A wrong memory, number {number}.") for number in range(3)]
    await app.call("update_memory", id=scene.ids[0], content="Wrong.", tags=["wrong"], pinned=True)
    await app.call("delete_memory", id=scene.ids[1])
    seen = (await scene.admin.get(f"{activity}?source={scene.app_id}")).json()["events"]
    assert [(event["kind"], event["memory_ids"]) for event in seen[:6]] == [
        ("delete", [scene.ids[1]]), ("update", [scene.ids[0]]), *(("add", [memory_id]) for memory_id in wrong[::-1]),
        ("read", [pinned]),
    ]  # fmt: skip
    assert {(event["source"]["kind"], event["source"]["name"]) for event in seen} == {("application", "Cursor")}
    reads = (await scene.admin.get(f"{activity}?memory_id={pinned}&kind=read&source=application")).json()["events"]
    assert [event["count"] for event in reads] == [1, 6]
    done = {**NONE, "adds": 3, "changes": 1, "deletions": 1}
    assert await scene.revert(dry_run=True) == {"dry_run": True, **done}
    assert await scene.revert() == {"dry_run": False, **done}
    assert await scene.memories() == before
    assert (await app.refusal("fetch", id=wrong[0])).startswith("There is no memory")


async def test_what_others_changed_afterwards_is_skipped(scene: Scene) -> None:
    added = await scene.app.add("Wrong.")
    for memory_id in (added, scene.ids[0]):
        await scene.app.put(f"/api/memories/{memory_id}", {"text": "Wrong again."})
        await scene.api.put(f"/api/memories/{memory_id}", {"text": f"Mended {memory_id}."})
    await scene.app.delete(f"/api/memories/{scene.ids[1]}")
    await scene.api.send("POST", f"/api/memories/{scene.ids[1]}/restore")
    before = await scene.memories()
    assert await scene.revert() == {"dry_run": False, **NONE, "skipped": 2}
    assert await scene.memories() == before


async def test_what_it_added_and_deleted_stays_deleted(scene: Scene) -> None:
    await scene.app.delete(f"/api/memories/{await scene.app.add('Wrong.')}")
    before = await scene.memories()
    assert await scene.revert() == {"dry_run": False, **NONE}
    assert await scene.memories() == before


async def test_a_pin_or_an_expiry_alone_is_undone_and_what_others_did_with_it_is_skipped(scene: Scene) -> None:
    before = await scene.memories()
    pinned, expiring, changed, undone = scene.ids[:4]
    for memory_id, patch in (
        (pinned, {"pinned": True}), (expiring, {"expires_in_days": 1}), (changed, {"pinned": True}),
        (undone, {"pinned": True}),
    ):  # fmt: skip
        await scene.app.send("PATCH", f"/api/memories/{memory_id}", patch)
    await scene.api.send("PATCH", f"/api/memories/{changed}", {"expires_in_days": 9})
    await scene.api.send("POST", f"/api/memories/{undone}/restore", {"version": 1})
    assert await scene.revert() == {"dry_run": False, **NONE, "changes": 2, "skipped": 1}
    after = await scene.memories()
    assert after.pop(changed)["pinned"]
    assert after == {memory_id: memory for memory_id, memory in before.items() if memory_id != changed}


async def test_a_restored_version_has_its_pin_and_its_expiry_unless_that_is_over(
    scene: Scene, database: Database
) -> None:
    path = f"/api/memories/{scene.ids[0]}"
    await scene.api.send("PATCH", path, {"pinned": True, "expires_in_days": 9})
    expiring = (await scene.api.get(path)).json()
    await scene.api.send("PATCH", path, {"pinned": False, "expires_at": None})
    restored = (await scene.api.post(f"{path}/restore", {"version": 2})).json()
    assert (restored["pinned"], restored["expires_at"]) == (True, expiring["expires_at"])
    with database.write() as session:
        session.execute(sa.update(MemoryVersion).where(col(MemoryVersion.version) == 2).values(expires_at=scene.since))
    await scene.api.send("PATCH", path, {"pinned": False})
    restored = (await scene.api.post(f"{path}/restore", {"version": 2})).json()
    assert (restored["pinned"], restored["expires_at"]) == (True, expiring["expires_at"])


async def test_what_is_behind_the_last_versions_is_named_and_what_others_deleted_is_skipped(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "MOST_VERSIONS", 2)
    for number in range(4):
        await scene.app.put(f"/api/memories/{scene.ids[0]}", {"text": f"Wrong {number}."})
    added = await scene.app.add("Wrong.")
    await scene.app.put(f"/api/memories/{scene.ids[1]}", {"text": "Wrong."})
    for memory_id in (added, scene.ids[1]):
        await scene.api.delete(f"/api/memories/{memory_id}")
    told = {**NONE, "skipped": 1, "beyond_history": 1}
    assert await scene.revert(dry_run=True) == {"dry_run": True, **told}
    assert await scene.revert() == {"dry_run": False, **told}
    await scene.api.send("POST", f"/api/memories/{scene.ids[1]}/restore")
    assert await scene.revert() == {"dry_run": False, **told, "skipped": 0, "changes": 1}


async def test_a_revert_can_be_undone_where_the_trash_keeps_nothing(scene: Scene) -> None:
    project = scene.path.removesuffix("/revert")
    await scene.admin.send("PATCH", project, {"trash_days": 0})
    added = await scene.app.add("Right after all.")
    assert (await scene.revert())["adds"] == 1
    (kept,) = (await scene.api.get("/api/memories/trash")).json()["results"]
    assert datetime.fromisoformat(kept["deleted_until"]) - now() > timedelta(days=6)
    assert (await scene.api.send("POST", f"/api/memories/{added}/restore")).status_code == 200


async def test_what_a_crash_leaves_is_whole_and_a_repeat_ends_it(
    scene: Scene, database: Database, alice: Tenant
) -> None:
    """Each memory is undone or not, whatever somebody else writes between two transactions."""
    before = await scene.memories()
    await work(scene)
    with database.write() as session:
        wanted = Reversion(alice.project_id, scene.app_id, scene.since)
        admin = Principal(alice.user_id, CredentialKind.SESSION, "session")
        plan = revert.plan(session, admin, wanted)
        assert revert.undo_adds(session, admin, wanted, plan.adds[:1]).done == 1
        assert revert.undo_deletions(session, admin, wanted, [scene.ids[2]]).done == 1
    for memory_id in (plan.adds[1], scene.ids[0]):
        await scene.api.put(f"/api/memories/{memory_id}", {"text": "Mended."})
    half = await scene.memories()
    assert half[scene.ids[2]]["content"] == "Wrong."  # as the application left it, until its change is undone
    assert await scene.revert() == {"dry_run": False, "adds": 1, "changes": 2, "deletions": 1, "skipped": 2}
    after = await scene.memories()
    assert {after.pop(memory_id)["content"] for memory_id in (plan.adds[1], scene.ids[0])} == {"Mended."}
    assert after == {memory_id: memory for memory_id, memory in before.items() if memory_id != scene.ids[0]}
    again = await scene.revert()
    assert again == {"dry_run": False, **NONE, "skipped": 2}


async def test_a_writer_meanwhile_is_never_undone(scene: Scene) -> None:
    added = [await scene.app.add(f"Wrong {number}.") for number in range(4)]
    for memory_id in scene.ids[:4]:
        await scene.app.put(f"/api/memories/{memory_id}", {"text": "Wrong."})

    async def mend(memory_id: str) -> str | None:
        answer = await scene.api.put(f"/api/memories/{memory_id}", {"text": "Mended."})
        return memory_id if answer.status_code == 200 else None

    undone, *mended = await asyncio.gather(scene.revert(), *(mend(memory_id) for memory_id in (*added, *scene.ids[:4])))
    after = await scene.memories()
    assert {after[memory_id]["content"] for memory_id in mended if isinstance(memory_id, str)} <= {"Mended."}
    assert undone["adds"] + len([memory_id for memory_id in added if memory_id in after]) == 4
    assert (await scene.revert(dry_run=True))["adds"] == 0


async def test_two_at_the_same_moment_undo_it_once(scene: Scene) -> None:
    before = await scene.memories()
    await work(scene)
    first, second = await asyncio.gather(scene.revert(), scene.revert())
    for name, count in {"adds": 3, "changes": 3, "deletions": 2}.items():
        assert first[name] + second[name] == count
    assert first["skipped"] == second["skipped"] == 0
    assert await scene.memories() == before


@pytest.mark.sqlite_only
async def test_only_admins_may_and_only_in_their_project(
    scene: Scene, viewer: Caller, bob: Tenant, signed_in: Callable[[Tenant], Caller]
) -> None:
    body = {"source_id": scene.app_id, "since": scene.since.isoformat()}
    assert (await viewer.post(scene.path, body)).status_code == 403
    assert (await scene.api.post(scene.path, body)).status_code == 403
    other = f"/api/projects/{bob.project_id}/revert"
    assert (await scene.admin.post(other, body)).status_code == 404
    for wrong in ({"source_id": "Cursor"}, {"since": "soon"}, {"until": "2030-01-01"}, {"source_id": scene.ids[0]}):
        assert (await scene.admin.post(scene.path, body | wrong)).status_code == 400, wrong
    refused = await scene.admin.post(scene.path, body | {"since": None})
    assert refused.json() == {"detail": "since: must be an ISO 8601 date or time such as 2026-02-22T10:30:00Z."}
    answer = await signed_in(bob).post(other, body | {"since": "2020-01-01"})
    assert answer.json() == {"dry_run": False, **NONE}
