"""Transactions that change the same memories lock them in the same order, so that none of them fails."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from sqlmodel import col, select

from server.database import Database
from server.domain.memory import deletions
from server.index.upkeep.reembedding import Reembedding
from server.models import Memory
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
