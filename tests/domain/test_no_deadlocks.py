"""Transactions that change the same memories lock them in the same order, so that none of them fails."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from sqlmodel import col, select

from server.database import Database
from server.domain.memory import deletions, selection
from server.index.upkeep.reembedding import Reembedding
from server.models import Memory, Piece
from tests.support.world import World, eventually


def wait_for_two(database: Database) -> None:
    """Wait until two transactions wait for a lock. Does nothing on SQLite, which cannot tell."""

    def are_waiting() -> bool:
        with database.read() as session:
            return session.scalars(sa.text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")).all() == [2]

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
            wait_for_two(world.database)
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
            wait_for_two(world.database)
        assert [work.result(20) for work in works] == [1, 1]
    assert [world.memory(memory_id).project_id for memory_id in memory_ids] == [other.project_id, world.project_id]
