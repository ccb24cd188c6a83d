"""After a permanent deletion of any kind, no table and no file has the text of the memory."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory import deletions, expiry, revert, trash
from server.domain.memory.revert import Reversion
from server.domain.teams import cascades
from server.models import Memory, Project, TrashedMemory
from server.models.base import now
from server.storage.database import Database
from tests.index.test_deletion import on_disk
from tests.support.world import World, eventually

TEXTS = ("xylographqu", "zephyrquil", "quuxiblet", "fnordwibbl")
"""Stems of words in the first version, the current one, the metadata and a tag."""

Way = Callable[[Session, World, str], object]


def delete(session: Session, world: World, memory_id: str) -> None:
    deletions.delete(session, world.principal, memory_id, permanent=True)


def delete_all(session: Session, world: World, _memory_id: str) -> None:
    deletions.delete_all(session, world.principal, world.project_id)


def delete_all_from_the_trash(session: Session, world: World, memory_id: str) -> None:
    deletions.delete(session, world.principal, memory_id)
    delete_all(session, world, memory_id)


def end_of_the_trash(session: Session, world: World, memory_id: str) -> None:
    deletions.delete(session, world.principal, memory_id)
    session.execute(sa.update(TrashedMemory).values(deleted_until=now() - timedelta(days=1)))
    assert trash.purge(session) == 1


def expire(session: Session, world: World, memory_id: str) -> None:
    past = now() - timedelta(days=1)
    session.execute(sa.update(Memory).where(col(Memory.id) == memory_id).values(expires_at=past))
    assert expiry.purge(session) == 1


def delete_the_project(session: Session, world: World, _memory_id: str) -> None:
    cascades.remove_projects(session, col(Project.id) == world.project_id)


def revert_and_delete(session: Session, world: World, memory_id: str) -> None:
    """Bring the first version back, and end the history that keeps the second one."""
    wanted = Reversion(world.project_id, world.principal.credential_id, created_of(session, memory_id))
    assert revert.undo_change(session, world.principal, wanted, memory_id, world.index).done
    delete(session, world, memory_id)


def created_of(session: Session, memory_id: str) -> datetime:
    """Return a moment between the addition and the change."""
    memory = session.scalars(sa.select(Memory).where(col(Memory.id) == memory_id)).one()
    assert memory.stored_at is not None
    return memory.stored_at + timedelta(microseconds=1)


WAYS: tuple[Way, ...] = (
    delete, delete_all, delete_all_from_the_trash, end_of_the_trash, expire, delete_the_project, revert_and_delete,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_text_that_is_deleted_for_good_is_nowhere(world: World, way: Way) -> None:
    memory_id = world.add("The password is Xylographqua", metadata={"x": "Quuxiblet", "tags": ["Fnordwibble"]})
    world.update(memory_id, "The password is Zephyrquill")
    assert left_of(world) == set(TEXTS)
    with world.database.write() as session:
        way(session, world, memory_id)
    world.index.wake()
    eventually(lambda: not left_of(world))


def left_of(world: World) -> set[str]:
    """Return those of the texts that the data folder or the database still has."""
    if world.database.is_sqlite:
        return on_disk(world.settings.data_dir, *TEXTS)
    return on_disk(world.settings.data_dir, *TEXTS) | in_tables(world.database)


def in_tables(database: Database) -> set[str]:
    """Return those of the texts that any row of any table has, as a dump of the database would."""
    of_ours = "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables"
    tables = f"{of_ours} WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    found: set[str] = set()
    with database.read() as session:
        for table in session.scalars(sa.text(tables)).all():
            for text in TEXTS:
                query = sa.text(f"SELECT count(*) FROM {table} AS kept WHERE kept::text ILIKE :text")
                if session.scalar(query, {"text": f"%{text}%"}):
                    found.add(text)
    return found
