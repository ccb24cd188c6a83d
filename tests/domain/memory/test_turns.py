"""Large changes take turns: transactions are short, others write in between, and no reader sees a part of a change."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from server.domain import turns
from server.domain.memory import changes, deletions, expiry, imports, memories, selection, trash
from server.domain.memory.inputs import MemoryChange
from server.errors import NotFound, ServiceError
from server.models import Memory, TrashedMemory
from server.models.base import now
from server.quotas import Quota
from server.storage import chunks
from server.storage.database import paused
from tests.domain.memory.test_imports import RESUMED, age, resume, staged
from tests.domain.memory.test_long_memories import add, assert_whole, counts
from tests.support.world import World


class Killed(BaseException):
    """The process ended here."""


def run(world: World, operation: Callable[..., object], *args: object) -> object:
    with world.database.write() as session:
        return operation(session, world.principal, *args)


def added(world: World) -> str:
    """Add a long memory and return its id."""
    add(world)
    return the_memory(world)


def the_memory(world: World) -> str:
    with world.database.read() as session:
        return session.exec(select(Memory.id)).one()


def places(world: World, memory_id: str) -> tuple[bool, bool]:
    """Return whether readers find the memory in its project, and in the trash."""
    with world.database.read() as session:
        try:
            memories.get(session, world.principal, memory_id)
            is_live = True
        except NotFound:
            is_live = False
        page = trash.list_trash(session, world.principal, trash.TrashRequest(world.project_id))
    return is_live, bool(page.trashed)


@contextmanager
def between_turns(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Iterator[list[object]]:
    """Act whenever a turn ends, as another writer. Yields the results."""
    results: list[object] = []

    def ended(session: Session) -> None:
        with paused(session):
            results.append(act())

    with monkeypatch.context() as patched:
        for module in (turns, imports):
            patched.setattr(module, "end_turn", ended)
        yield results


LARGE: dict[str, Callable[[World, str], object]] = {
    "delete": lambda world, memory_id: run(world, deletions.delete, memory_id),
    "restore": lambda world, memory_id: run(world, trash.restore, memory_id),
    "move": lambda world, memory_id: run(
        world, selection.move, world.project_id, [memory_id], world.another_project().project_id
    ),
    "version": lambda world, memory_id: run(world, changes.restore, memory_id, 1, world.index),
}


def prepared(world: World, what: str) -> str:
    memory_id = added(world)
    if what == "restore":
        run(world, deletions.delete, memory_id)
    if what == "version":
        world.update(memory_id, "a red canoe")
    return memory_id


@pytest.mark.parametrize("what", LARGE)
def test_a_long_memory_is_in_one_place_at_any_time_and_others_write(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    memory_id = prepared(world, what)

    def look() -> tuple[bool, bool]:
        other = world.add("a red canoe")
        world.delete(other)
        return places(world, memory_id)

    with between_turns(monkeypatch, look) as seen:
        LARGE[what](world, memory_id)
    assert len(seen) >= 2
    assert (True, True) not in seen
    assert (False, False) not in seen or what == "move", "after a move it is in the other project"


@pytest.mark.parametrize("what", ["restore", "version"])
@pytest.mark.sqlite_only
def test_a_long_memory_that_comes_back_has_all_its_words_and_vectors(world: World, what: str) -> None:
    memory_id = prepared(world, what)
    LARGE[what](world, memory_id)
    assert_whole(world)
    with world.database.read() as session:
        assert session.exec(select(TrashedMemory.id)).all() == []


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, count: int) -> Iterator[None]:
    """End the process when a turn ends for the `count`th time in the block."""
    left = [count]

    def ended(session: Session) -> None:
        session.commit()
        left[0] -= 1
        if not left[0]:
            raise Killed

    with monkeypatch.context() as patched:
        for module in (turns, imports):
            patched.setattr(module, "end_turn", ended)
        yield


@pytest.mark.parametrize("what", ["restore", "version"])
@pytest.mark.sqlite_only
def test_after_a_crash_a_long_memory_gets_its_words(world: World, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    memory_id = prepared(world, what)
    with killed_at(monkeypatch, 1), pytest.raises(Killed):
        LARGE[what](world, memory_id)
    age(world, RESUMED)
    resume(world)
    with world.database.write() as session:
        assert trash.purge(session) == int(what == "restore")
    assert_whole(world)


@pytest.mark.sqlite_only
def test_a_crash_while_a_long_memory_is_deleted_leaves_it_in_the_trash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_id = added(world)
    with killed_at(monkeypatch, 1), pytest.raises(Killed):
        run(world, deletions.delete, memory_id)
    assert places(world, memory_id) == (False, True)
    with world.database.write() as session:
        assert expiry.purge(session) == 1
    run(world, trash.restore, memory_id)
    assert_whole(world)


@pytest.mark.sqlite_only
def test_a_long_memory_comes_back_while_it_is_only_hidden(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_id = added(world)
    with killed_at(monkeypatch, 1), pytest.raises(Killed):
        run(world, deletions.delete, memory_id)
    run(world, trash.restore, memory_id)
    assert_whole(world)


@pytest.mark.sqlite_only
def test_a_long_memory_is_deleted_again_before_its_old_row_has_left_the_trash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_id = prepared(world, "restore")
    with killed_at(monkeypatch, 1), pytest.raises(Killed):
        run(world, trash.restore, memory_id)
    run(world, deletions.delete, memory_id)
    assert places(world, memory_id) == (False, True)
    age(world, RESUMED)
    resume(world)
    run(world, trash.restore, memory_id)
    assert_whole(world)


def test_a_moved_long_memory_is_found_by_its_words_in_the_other_project(world: World) -> None:
    memory_id, other = added(world), world.another_project()
    run(world, selection.move, world.project_id, [memory_id], other.project_id)
    assert (counts(world, "word0"), counts(other, "word0", "word8999"), staged(world)) == ([0], [1, 1], (0, 0))


@pytest.mark.parametrize(
    "act",
    [
        lambda world, ids: run(world, selection.pin, world.project_id, ids, True, world.index),
        lambda world, ids: run(world, selection.tag, world.project_id, ids, "new", world.index),
        lambda world, ids: run(world, selection.delete, world.project_id, ids),
        lambda world, ids: run(world, selection.move, world.project_id, ids, world.another_project().project_id),
    ],
)
@pytest.mark.sqlite_only
def test_selected_memories_are_changed_in_turns(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[World, list[str]], object]
) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", 0.0)
    ids = world.add_many([f"Canoe {number}." for number in range(4)])
    with between_turns(monkeypatch, lambda: world.add("a kayak")) as others:
        assert act(world, ids) == 4
    assert len(others) >= 3


@pytest.mark.sqlite_only
def test_nothing_moves_to_a_project_without_room_for_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", 0.0)
    ids = world.add_many([f"Canoe {number}." for number in range(4)])
    other = world.another_project()
    monkeypatch.setitem(world.database._info, "quota", Quota(memories=3, size=None))
    with pytest.raises(ServiceError, match="full"):
        run(world, selection.move, world.project_id, ids, other.project_id)
    assert len(world.texts("canoe")) == 4


@pytest.mark.parametrize("is_expired", [True, False])
def test_memories_whose_time_is_over_are_deleted_by_their_size(
    world: World, monkeypatch: pytest.MonkeyPatch, is_expired: bool
) -> None:
    ids = world.add_many([f"Canoe {number}. It is red." for number in range(5)])
    monkeypatch.setattr(chunks, "MOST_PIECES", 2)
    with world.database.read() as session:
        size = len(session.exec(select(Memory.content)).all()[0])
    monkeypatch.setattr(chunks, "MOST_BYTES", 2_000 + size)
    moment = now() - timedelta(minutes=1)
    if not is_expired:
        run(world, selection.delete, world.project_id, ids)
    table, column = (Memory, "expires_at") if is_expired else (TrashedMemory, "deleted_until")
    with world.database.write() as session:
        session.execute(sa.update(table).values({column: moment}))
    deleted: list[int] = []
    while not deleted or deleted[-1]:
        with world.database.write() as session:
            deleted.append((expiry if is_expired else trash).purge(session))
    assert sum(deleted) == 5
    assert len(deleted) > 3, "in several transactions"


@pytest.mark.sqlite_only
def test_a_change_of_a_short_memory_is_one_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_id = world.add("a red canoe")

    def fail(_session: Session) -> None:
        raise AssertionError

    for module in (turns, imports):
        monkeypatch.setattr(module, "end_turn", fail)
    run(world, memories.update, memory_id, MemoryChange(text="a blue canoe"), world.index)
    run(world, deletions.delete, memory_id)
    run(world, trash.restore, memory_id)


@pytest.mark.parametrize("is_long", [False, True])
def test_on_postgres_no_turn_ends_with_a_pause(world: World, monkeypatch: pytest.MonkeyPatch, is_long: bool) -> None:
    """Each memory has a turn of its own there. The pauses took almost half of the time of a large change."""
    ids = [added(world)] if is_long else world.add_many(["a canoe", "a kayak"])
    waits: list[float] = []
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waits.append))
    run(world, selection.delete, world.project_id, ids)
    assert world.database.is_sqlite or not waits
