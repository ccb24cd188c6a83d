"""A deleted project is out of everybody's reach at once, although its memories are removed from the disk later."""

import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from server.commands.backup import backup
from server.domain.memory import activity, expiry, imports, unfinished
from server.domain.memory.exchange.export import export_memories
from server.domain.memory.exchange.lines import Line
from server.domain.teams import projects
from server.errors import NotFound
from server.index.upkeep import removal
from server.index.upkeep.owner_lock import FileLock
from server.models import metadata
from server.models.activity import ActivityKind
from server.models.base import now
from server.settings import INDEX_LOCK_FILE, Settings
from server.storage import chunks
from server.storage.database import Database
from tests.rest.conftest import said
from tests.support.fakes import WordEmbedder
from tests.support.team import Team
from tests.support.world import World, eventually, opened


@pytest.fixture(autouse=True)
def owner_elsewhere(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileLock]:
    """Own the index, so that nothing is removed before the test releases it."""
    monkeypatch.setattr("server.shell.amounts.KEEP_SECONDS", 0.0)
    settings.data_dir.mkdir(exist_ok=True)
    lock = FileLock(settings.data_dir / INDEX_LOCK_FILE)
    assert lock.acquire()
    yield lock
    lock.release()


class Filled(NamedTuple):
    """The ids of a memory, and of one in the trash."""

    kept: str
    trashed: str


async def fill(team: Team) -> Filled:
    in_project = f"?project_id={team.project_id}"
    editor = team["editor"]
    kept, trashed = [
        (await editor.post(f"/api/memories{in_project}", said(text), Idempotency_Key=text)).json()["memory_id"]
        for text in ("A red canoe on the lake.", "A kayak at night.")
    ]
    assert (await editor.delete(f"/api/memories/{trashed}")).status_code == 200
    invited = {"email": "n@example.com", "role": "viewer"}
    assert (await team["owner"].post(f"/api/projects/{team.project_id}/invitations", invited)).status_code == 200
    return Filled(kept, trashed)


WAYS = [("project_admin", "/api/projects/{team.project_id}"), ("owner", "/api/organizations/{team.organization_id}")]


@pytest.mark.parametrize(("role", "path"), WAYS, ids=["project", "organization"])
async def test_it_is_out_of_reach_at_every_door_at_once(
    team: Team, client: httpx.AsyncClient, database: Database, role: str, path: str
) -> None:
    kept, trashed = await fill(team)
    answer = await team[role].delete(path.format(team=team))
    assert answer.json()["cascades"]["memories"] == 1
    where = f"project_id={team.project_id}"
    own = f"/api/projects/{team.project_id}"
    for caller in (team[name] for name in ("owner", "admin", "project_admin", "editor", "viewer")):
        for seen in (own, f"{own}/members", f"{own}/api-keys", f"{own}/activity", f"/api/memories?{where}",
                     f"/api/memories/trash?{where}", f"/api/memories/{kept}", f"/api/memories/{kept}/history",
                     f"/api/memories/{trashed}"):  # fmt: skip
            assert (await caller.get(seen)).status_code == 404, seen
        found = await caller.post("/api/memories/search", {"query": "canoe", "project_id": team.project_id})
        assert found.status_code == 404
        assert (await caller.post(f"/api/memories/{trashed}/restore", {})).status_code == 404
        assert (await caller.post(f"/api/memories?{where}", said("A new one."))).status_code == 404
        listed = (await caller.get("/api/projects")).json()["projects"]
        assert team.project_id not in {project["id"] for project in listed}
    for credential in ("read_key", "write_key", "read_token", "write_token"):
        assert (await team[credential].get("/api/memories")).status_code == 401
    shown = await metrics(client)
    assert (shown["memories"], shown["deleted_projects"]) == (0, 1)
    with database.read() as session, pytest.raises(NotFound):
        list(export_memories(session, team.project_id))


async def test_its_name_is_free_at_once(team: Team) -> None:
    await fill(team)
    wiki = {"name": "Wiki", "organization_id": team.organization_id}
    assert (await team["owner"].post("/api/projects", wiki)).status_code == 409
    assert (await team["project_admin"].delete(f"/api/projects/{team.project_id}")).status_code == 200
    assert (await team["owner"].post("/api/projects", wiki)).status_code == 200


async def test_the_others_who_could_use_it_are_notified(team: Team) -> None:
    assert (await team["project_admin"].delete(f"/api/projects/{team.project_id}")).status_code == 200
    new = {"name": "Drafts", "organization_id": team.organization_id}
    drafts = (await team["owner"].post("/api/projects", new)).json()["project_id"]
    assert (await team["owner"].delete(f"/api/projects/{drafts}")).status_code == 200
    notices = {
        role: [one["message"] for one in (await team[role].get("/api/notifications")).json()["notifications"]]
        for role in ("owner", "admin", "editor", "viewer", "member", "project_admin")
    }
    told = ["The project “Wiki” and all its memories were deleted."]
    both = ["2 projects and all their memories were deleted. The last one was “Drafts”."]
    nobody: dict[str, list[str]] = {"member": [], "project_admin": []}
    assert notices == {"owner": told, "admin": both, "editor": told, "viewer": told, **nobody}


async def test_the_projects_of_a_deleted_account_are_out_of_reach_and_removed(
    team: Team, client: httpx.AsyncClient, owner_elsewhere: FileLock, database: Database
) -> None:
    outsider = team["outsider"]
    [own] = (await outsider.get("/api/projects")).json()["projects"]
    await outsider.post(f"/api/memories?project_id={own['id']}", said("A red canoe on the lake."))
    assert (await outsider.delete("/api/users/me")).json()["cascades"]["memories"] == 1
    assert (await team["outsider_key"].get("/api/memories")).status_code == 401
    assert (await metrics(client))["memories"] == 0
    owner_elsewhere.release()
    eventually(lambda: not rows_of(database, own["id"]))


async def test_in_the_end_no_row_of_it_is_left(
    team: Team, client: httpx.AsyncClient, owner_elsewhere: FileLock, database: Database
) -> None:
    await fill(team)
    assert rows_of(database, team.project_id) >= {"memories", "trashed_memories", "idempotency_keys"}
    await team["owner"].delete(f"/api/organizations/{team.organization_id}")
    assert rows_of(database, team.project_id) <= {
        "projects", "memories", "pieces", "trashed_memories", "activity_events", "idempotency_keys", "labels",
        "index_tasks",
    }  # fmt: skip
    owner_elsewhere.release()
    eventually(lambda: not rows_of(database, team.project_id))
    shown = await metrics(client)
    assert shown["deleted_projects"] == 0
    with database.read() as session:
        assert not session.scalar(sa.text("SELECT count(*) FROM memory_words"))


def test_a_removal_that_was_interrupted_goes_on_after_a_restart(
    settings: Settings, owner_elsewhere: FileLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", 0.0)
    with opened(settings, WordEmbedder()) as world:
        other = world.another_project()
        other.add_many([f"memory number {n}" for n in range(3 * chunks.MOST_MEMORIES)])
        delete(world, other.project_id)
        assert removal.remove_some(world.database)
        left = count_memories(world.database, other.project_id)
        assert left == 2 * chunks.MOST_MEMORIES, "a transaction deletes a bounded part"
    owner_elsewhere.release()
    with opened(settings, WordEmbedder()) as world:
        eventually(lambda: not rows_of(world.database, other.project_id))
        assert not removal.remove_some(world.database)


def test_what_was_under_way_does_not_bring_it_back(settings: Settings) -> None:
    with opened(settings, WordEmbedder()) as world:
        other = world.another_project()
        other.add("A tandem")
        with world.database.write() as session:
            session.execute(sa.text("UPDATE memories SET expires_at = '2020-01-01 00:00:00'"))
            staged, committed = (imports.begin(session, None, other.project_id) for _ in range(2))
            for import_id in (staged, committed):
                imports.stage(session, None, import_id, [(1, Line(content=f"A canoe {import_id}"))], world.index)
            imports.commit(session, None, committed)
            session.execute(sa.text("UPDATE imports SET touched_at = '2020-01-01 00:00:00'"))
        delete(world, other.project_id)
        with world.database.write() as session:
            assert unfinished.left_behind(session, now()) == []
            assert not imports.publish(session, None, committed)
            with pytest.raises(NotFound):
                imports.stage(session, None, staged, [(2, Line(content="A kayak"))], world.index)
            note_search(session, other)
            assert expiry.purge(session) == 0
        assert count_memories(world.database, other.project_id) == 1
        removal.remove_all(world.database)
        assert rows_of(world.database, other.project_id) <= {"index_tasks"}
        with world.database.read() as session:
            assert not session.scalar(sa.text("SELECT count(*) FROM staged_memories"))


def test_a_backup_does_not_hold_it(settings: Settings, tmp_path: Path) -> None:
    with opened(settings, WordEmbedder()) as world:
        other = world.another_project()
        other.add("The password is Xylographqua")
        delete(world, other.project_id)
        backup(settings, Namespace(file=str(tmp_path / "backup")))
        assert count_memories(world.database, other.project_id) == 0, "it was removed before"
    assert b"xylographqu" not in (tmp_path / "backup").read_bytes().lower()


def note_search(session: Session, world: World) -> None:
    """Store the event of a search that ended before the deletion."""
    activity.note(session, world.principal, world.project_id, ActivityKind.SEARCH)
    activity.store(session, activity.noted_in(session))
    assert not session.scalar(sa.text("SELECT count(*) FROM activity_events"))


def delete(world: World, project_id: str) -> None:
    with world.database.write() as session:
        projects.delete(session, world.principal, project_id)


async def metrics(client: httpx.AsyncClient) -> dict[str, float]:
    found = re.findall(r"^selfmemory_(\w+) ([0-9.]+)$", (await client.get("/metrics")).text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def count_memories(database: Database, project_id: str) -> int:
    query = sa.text("SELECT count(*) FROM memories WHERE project_id = :project")
    with database.read() as session:
        return int(session.scalar(query, {"project": project_id}) or 0)


def rows_of(database: Database, project_id: str) -> set[str]:
    """Return the tables that have a row of this project."""
    found: set[str] = set()
    with database.read() as session:
        for table in metadata.sorted_tables:
            column = table.c.id if table.name == "projects" else table.c.get("project_id")
            if column is not None and session.scalar(sa.select(sa.literal(1)).where(column == project_id).limit(1)):
                found.add(table.name)
    return found
