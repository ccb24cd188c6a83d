"""After kill -9 in an operation, every memory is in exactly one place, and the next start finishes the operation."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from server.domain.memory import deletions, expiry, memories, versions
from server.domain.memory.inputs import MemoryChange
from server.domain.teams import cascades
from server.index.upkeep import removal
from server.models import BegunDeletion, Memory, Project, TrashedMemory
from server.models.base import now
from server.storage import chunks
from tests.domain.memory.test_imports import RESUMED, age, resume, staged, stored
from tests.domain.memory.test_long_memories import WORDS, counts, long_memory
from tests.support.world import World

ROOT = Path(__file__).parents[3]
Kill = Callable[..., None]


@pytest.fixture(scope="module")
def killer() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.killed"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate()


@pytest.fixture
def kill(world: World, killer: subprocess.Popen[str]) -> Kill:
    """A function that runs an operation in a process that is killed after so many commits."""
    url = world.database.engine.url.render_as_string(hide_password=False)

    def run(commits: int, *operation: object) -> None:
        assert killer.stdin is not None
        assert killer.stdout is not None
        print(json.dumps([url, world.principal.user_id, commits, *operation]), file=killer.stdin, flush=True)
        assert killer.stdout.readline() == "killed\n"

    return run


def add_long(world: World) -> str:
    """Add a long memory with an earlier version."""
    with world.database.write() as session:
        memory_id = memories.add(session, world.principal, long_memory(world), world.index)
    with world.database.write() as session:
        memories.update(session, world.principal, memory_id, MemoryChange(pinned=True), world.index)
    return memory_id


def finish(world: World) -> None:
    """Do what housekeeping does after the start."""
    age(world, RESUMED)
    resume(world)
    with world.database.write() as session:
        for deletion_id in deletions.left_behind(session, now()):
            while deletions.delete_more(session, deletion_id):
                pass


def trashed(world: World) -> list[str]:
    with world.database.read() as session:
        return list(session.exec(select(TrashedMemory.id)).all())


def assert_whole(world: World, memory_id: str) -> None:
    """Assert that the project has the memory with its words, vectors and versions, and nothing else has it."""
    assert counts(world, "word0", f"word{WORDS - 1}") == [1, 1]
    assert [found.memory.id for found in world.found("kayak")] == [memory_id]
    assert staged(world) == (0, 0)
    with world.database.read() as session:
        assert session.exec(select(Memory.id)).all() == [memory_id]
        assert versions.count_versions(session, world.principal, memory_id) == 1


def test_a_long_memory_whose_move_is_killed_is_in_the_other_project(world: World, kill: Kill) -> None:
    memory_id, other = add_long(world), world.another_project()
    kill(1, "move", world.project_id, [memory_id], other.project_id)
    assert [found.memory.id for found in world.found("kayak")] == [memory_id], "it has not begun to move"
    kill(2, "move", world.project_id, [memory_id], other.project_id)
    for _ in ("removed", "stored", "unstaged"):
        assert trashed(world) == []
        kill(1, "publish")
    finish(world)
    assert trashed(world) == []
    assert_whole(other, memory_id)
    assert counts(world, "word0") == [0]


@pytest.mark.parametrize("is_target", [False, True])
def test_a_project_deleted_during_a_move_takes_only_its_own_memories_along(
    world: World, kill: Kill, is_target: bool
) -> None:
    memory_id, other = add_long(world), world.another_project()
    kill(2, "move", world.project_id, [memory_id], other.project_id)
    with world.database.write() as session:
        cascades.remove_projects(session, col(Project.id) == (other if is_target else world).project_id)
        assert expiry.purge(session) == int(is_target)
    finish(world)
    removal.remove_all(world.database)
    if is_target:
        assert (stored(world), staged(world), trashed(world)) == (0, (0, 0), [])
    else:
        assert_whole(other, memory_id)


def test_a_long_memory_whose_return_is_killed_is_in_its_project(world: World, kill: Kill) -> None:
    memory_id = add_long(world)
    with world.database.write() as session:
        deletions.delete(session, world.principal, memory_id)
    kill(1, "restore", memory_id)
    kill(1, "publish")
    finish(world)
    assert_whole(world, memory_id)


@pytest.mark.parametrize("user_id", [None, "ann"])
def test_a_deletion_of_all_memories_that_is_killed_is_finished(world: World, kill: Kill, user_id: str | None) -> None:
    ids = world.add_many([f"A canoe {number}." for number in range(2 * chunks.MOST_MEMORIES)], user_id="ann")
    other = world.add("A canoe of Ben.", user_id="ben")
    with world.database.write() as session:
        deletions.delete(session, world.principal, ids[0])
    kill(1, "delete_all", world.project_id, user_id)
    added = world.add("A canoe that was added later.", user_id="ann")
    assert 2 < stored(world) < len(ids), "a part of them is left"
    finish(world)
    with world.database.read() as session:
        assert set(session.exec(select(Memory.id)).all()) == {added} | ({other} if user_id else set())
        assert session.exec(select(BegunDeletion.id)).all() == []
    assert trashed(world) == []
    assert len(world.texts("canoe")) == (2 if user_id else 1)


def test_a_deletion_that_was_killed_may_be_repeated(world: World, kill: Kill) -> None:
    world.add_many([f"A canoe {number}." for number in range(2 * chunks.MOST_MEMORIES)])
    kill(1, "delete_all", world.project_id)
    with world.database.read() as session:
        begun = session.exec(select(BegunDeletion.id)).one()
    with world.database.write() as session:
        assert deletions.delete_all(session, world.principal, world.project_id) > 0
        assert not deletions.delete_more(session, begun)
        assert not deletions.delete_more(session, begun), "it has ended"
