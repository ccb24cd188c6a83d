"""An admin undoes what one credential did since a moment, and nothing of what others did afterwards."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import pytest

from server.database import Database
from server.domain.memory import revert
from server.errors import Unavailable
from server.models import Project, User
from server.models.base import now
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.team import authorize

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

    def body(self, **more: object) -> dict[str, object]:
        return {"source_id": self.app_id, "since": self.since.isoformat(), **more}

    async def revert(self, **more: object) -> dict[str, Any]:
        answer = await self.admin.post(self.path, self.body(**more))
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


async def test_a_pin_that_others_changed_afterwards_is_skipped(scene: Scene) -> None:
    for caller, change in ((scene.app, {"pinned": True}), (scene.api, {"expires_in_days": 9})):
        await caller.send("PATCH", f"/api/memories/{scene.ids[0]}", change)
    before = await scene.memories()
    assert await scene.revert() == {"dry_run": False, **NONE, "skipped": 1}
    assert await scene.memories() == before


async def test_what_is_undone_can_come_back_also_without_a_trash(scene: Scene, alice: Tenant) -> None:
    await scene.admin.send("PATCH", f"/api/projects/{alice.project_id}", {"trash_days": 0})
    added = await scene.app.add("Right after all.")
    assert await scene.revert() == {"dry_run": False, **NONE, "adds": 1}
    assert (await scene.api.send("POST", f"/api/memories/{added}/restore")).status_code == 200


async def test_what_it_added_and_deleted_stays_deleted(scene: Scene) -> None:
    await scene.app.delete(f"/api/memories/{await scene.app.add('Wrong.')}")
    before = await scene.memories()
    assert await scene.revert() == {"dry_run": False, **NONE}
    assert await scene.memories() == before


async def test_two_at_the_same_moment_undo_it_once(scene: Scene) -> None:
    before = await scene.memories()
    await work(scene)
    first, second = await asyncio.gather(scene.revert(), scene.revert())
    for name, count in {"adds": 3, "changes": 3, "deletions": 2}.items():
        assert first[name] + second[name] == count
    assert await scene.memories() == before


async def test_a_revert_that_ends_in_the_middle_is_finished_by_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await scene.memories()
    await work(scene)

    def fail(*_args: object) -> NoReturn:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(revert, "undo_deletions", fail)
        assert (await scene.admin.post(scene.path, scene.body())).status_code == 503
    assert await scene.memories() != before
    assert await scene.revert() == {"dry_run": False, "adds": 0, "changes": 3, "deletions": 2, "skipped": 0}
    assert await scene.memories() == before


async def test_only_admins_may_and_only_in_their_project(
    scene: Scene, viewer: Caller, bob: Tenant, signed_in: Callable[[Tenant], Caller]
) -> None:
    body = scene.body()
    assert (await viewer.post(scene.path, body)).status_code == 403
    assert (await scene.api.post(scene.path, body)).status_code == 403
    other = f"/api/projects/{bob.project_id}/revert"
    assert (await scene.admin.post(other, body)).status_code == 404
    for wrong in ({"source_id": "Cursor"}, {"since": "soon"}, {"until": "2030-01-01"}, {"source_id": scene.ids[0]}):
        assert (await scene.admin.post(scene.path, body | wrong)).status_code == 400, wrong
    answer = await signed_in(bob).post(other, body | {"since": "2020-01-01"})
    assert answer.json() == {"dry_run": False, **NONE}
