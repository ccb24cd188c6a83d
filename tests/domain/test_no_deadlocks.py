"""Transactions that change the same memories at once do not fail, and count nothing twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain.locks import lock_project
from server.domain.memory import deletions, expiry, memories, moves, selection, storing, trash
from server.domain.memory.inputs import MemoryChange
from server.errors import NotFound, ServiceError
from server.index.upkeep import rewriting
from server.index.upkeep.reembedding import Reembedding
from server.models import Memory, Piece, Project, TrashedMemory
from server.storage import chunks
from server.storage.database import Database
from tests.support.world import World, eventually

T = TypeVar("T")


def run(world: World, work: Callable[[Session], T]) -> T:
    with world.database.write() as session:
        return work(session)


def wait_for(number: int, database: Database) -> None:
    """Wait until at least so many transactions wait for a lock. Does nothing on SQLite, which cannot tell."""

    def are_waiting() -> bool:
        with database.read() as session:
            pids = session.scalars(sa.text("SELECT DISTINCT pid FROM pg_locks WHERE NOT granted")).all()
        return len(pids) >= number  # the index's worker may wait too

    if not database.is_sqlite:
        eventually(are_waiting)


def test_memories_can_be_deleted_while_they_are_embedded_again(world: World) -> None:
    _, middle, _ = world.add_many(["a canoe", "a kayak", "a tandem"])
    reembedding = Reembedding(world.database, world.index.embed, "other/test", set(), sa.true())

    def delete() -> int:
        with world.database.write() as session:
            return deletions.delete_all(session, world.principal, world.project_id)

    with ThreadPoolExecutor(2) as threads:
        with world.database.write() as session:
            session.exec(select(Memory.id).where(col(Memory.id) == middle).with_for_update())
            deletion = threads.submit(delete)
            embedding = threads.submit(lambda: list(reembedding.run()))
            wait_for(2, world.database)
        assert deletion.result(20) == 3
        embedding.result(20)


def test_two_people_can_move_memories_between_two_projects_in_opposite_directions(world: World) -> None:
    other = world.another_project()
    memory_ids = [one.add("a canoe. " * 2) for one in (world, other)]

    def move(source: World, target: World, memory_id: str) -> int:
        with source.database.write() as session:
            return selection.move(session, source.principal, source.project_id, [memory_id], target.project_id)

    with ThreadPoolExecutor(2) as threads:
        with world.database.write() as session:
            session.exec(select(Piece.position).with_for_update())  # so that both wait before they reach the target
            works = [
                threads.submit(move, world, other, memory_ids[0]),
                threads.submit(move, other, world, memory_ids[1]),
            ]
            wait_for(2, world.database)
        assert [work.result(20) for work in works] == [1, 1]
    assert [world.memory(memory_id).project_id for memory_id in memory_ids] == [other.project_id, world.project_id]


def test_a_hidden_memory_that_two_transactions_delete_is_counted_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "LONG_WEIGHT", 10)
    world.add("a kayak")
    long = world.add("A canoe. " * 1_000)
    with monkeypatch.context() as patched:
        patched.setattr(storing, "remove", lambda *_: 1 / 0)  # the process ends when the memory is only hidden
        with pytest.raises(ZeroDivisionError):
            run(world, lambda session: deletions.delete(session, world.principal, long))
    with ThreadPoolExecutor(2) as threads:
        with world.database.write() as session:
            lock_project(session, world.project_id)
            purge = threads.submit(run, world, expiry.purge)
            wait_for(1, world.database)
            restoration = threads.submit(run, world, lambda session: trash.restore(session, world.principal, long))
            wait_for(2, world.database)
        purge.result(20)
        assert restoration.result(20)
    with world.database.read() as session:
        counters = session.exec(select(Project.memory_count, Project.piece_count)).one()
        pieces = session.exec(select(Memory.piece_count)).all()
    assert tuple(counters) == (len(pieces), sum(pieces))


def test_a_memory_that_is_on_its_way_to_another_project_cannot_be_changed_any_more(world: World) -> None:
    """A change of the row that is left would be lost, and a deletion would not delete the one that arrives."""
    other = world.another_project()
    memory_id = world.add("a canoe")
    change = MemoryChange(metadata={"tags": "river"})
    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as session:
            memory = session.exec(select(Memory).where(Memory.id == memory_id).with_for_update()).one()
            changed = threads.submit(
                run, world, lambda waiting: memories.update(waiting, world.principal, memory_id, change, world.index)
            )
            wait_for(1, world.database)
            moves.begin(session, memory, other.project_id)
        with pytest.raises(NotFound):
            changed.result(20)


def test_who_deletes_several_memories_holds_no_lock_while_another_person_changes_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", 10.0)
    first, second = world.add_many(["a canoe", "a kayak"])
    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as session:
            session.exec(select(Memory.id).where(Memory.id == first).with_for_update())  # the newer one goes first
            deleted = threads.submit(
                run,
                world,
                lambda waiting: selection.delete(waiting, world.principal, world.project_id, [first, second]),
            )
            wait_for(1, world.database)
            lock_project(session, world.project_id)
        assert deleted.result(20) == 2


def test_a_long_memory_leaves_the_trash_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "LONG_WEIGHT", 10)
    long = world.add("A canoe. " * 1_000)
    run(world, lambda session: deletions.delete(session, world.principal, long))

    def restore(session: Session) -> Memory:
        return trash.restore(session, world.principal, long)

    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as session:
            session.exec(select(TrashedMemory.id).with_for_update())
            again = threads.submit(run, world, restore)
            wait_for(1, world.database)
            restore(session)
        with pytest.raises(ServiceError):
            again.result(20)


def test_a_long_memory_that_is_restored_while_it_is_deleted_permanently_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "LONG_WEIGHT", 10)
    long = world.add("A canoe. " * 1_000)
    run(world, lambda session: deletions.delete(session, world.principal, long))
    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as session:
            session.exec(select(TrashedMemory.id).with_for_update())
            deletion = threads.submit(
                run, world, lambda waiting: deletions.delete(waiting, world.principal, long, permanent=True)
            )
            wait_for(1, world.database)
            trash.restore(session, world.principal, long)
        deletion.result(20)
    with world.database.read() as session:
        assert session.exec(select(Memory.id)).all() == session.exec(select(TrashedMemory.id)).all() == []


def test_a_memory_can_be_changed_while_the_words_of_all_are_written_again(world: World) -> None:
    memory_id = world.add("a canoe")
    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as session:
            session.execute(sa.update(Memory).values(place=1))  # of an earlier version
        with world.database.write() as session:
            session.exec(select(Memory.id).where(Memory.id == memory_id).with_for_update())
            rewriting_all = threads.submit(lambda: list(rewriting.rewrite_all(world.database)))
            wait_for(1, world.database)
            lock_project(session, world.project_id)
        rewriting_all.result(20)
    assert world.memory(memory_id).place > 1
