"""A Postgres database that is partitioned as docs/decisions/0015 says works like any other."""

import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.commands.backup import backup
from server.commands.restore import restore
from server.domain.memory import deletions, memories, trash, versions
from server.domain.memory.filters import Filters
from server.domain.memory.memories import ListRequest
from server.domain.teams import projects
from server.settings import Settings
from server.storage.database import Database
from tests.support.fakes import WordEmbedder
from tests.support.postgres import Databases
from tests.support.world import World, eventually, opened

PAGE = Path(__file__).parent.parent / "docs" / "decisions" / "0015-partitions-by-project.md"
TABLES = ("memories", "pieces", "labels", "memory_words")

pytestmark = pytest.mark.needs("postgres")


@pytest.fixture
def database_url(postgres: Databases) -> Iterator[str]:
    url = postgres.make()
    yield url
    postgres.drop(url)


@pytest.fixture
def before(settings: Settings) -> str:
    """The id of a memory, with one version, that was there before the database was converted."""
    with opened(settings, WordEmbedder()) as world:
        before = world.add("a red canoe on the river", metadata={"tags": ["boats"]})
        world.update(before, "a red canoe on the lake")
        [statements] = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        with world.database.engine.begin() as connection:
            connection.connection.cursor().execute(statements)  # without parameters, so that % is a character
    return before


@pytest.fixture
def partitioned(settings: Settings, before: str) -> Iterator[World]:
    with opened(settings, WordEmbedder()) as world:
        yield world


def count(world: World, rows: str) -> int:
    with world.database.read() as session:
        return int(session.scalar(sa.text(f"SELECT count(*) FROM {rows}")) or 0)


def test_it_has_eight_parts_of_each_table_and_keeps_its_rows(partitioned: World, before: str) -> None:
    parents = "'{" + ",".join(TABLES) + "}'::regclass[]"
    assert count(partitioned, f"pg_inherits WHERE inhparent = ANY({parents})") == 8 * len(TABLES)
    assert partitioned.texts("canoe lake") == ["a red canoe on the lake"]
    kept = {table: count(partitioned, table) for table in (*TABLES, "memory_versions")}
    assert kept == {"memories": 1, "pieces": 1, "labels": 2, "memory_words": 1, "memory_versions": 1}
    with partitioned.database.engine.connect() as connection:
        there = {index["name"] for index in sa.inspect(connection).get_indexes("memories")}
    assert {"ix_memories_newest", "ix_memories_revision", "ix_memories_id"} <= there


def test_memories_are_added_found_changed_and_deleted(partitioned: World, before: str) -> None:
    world, others = partitioned, [partitioned.another_project() for _ in range(4)]
    for number, other in enumerate(others):
        other.add(f"a kayak number {number}", user_id="ann")
    added = world.add("a kayak at night", metadata={"tags": ["boats"]})
    assert world.texts("kayak", Filters(tags=("boats",)))[0] == "a kayak at night"
    assert others[2].texts("kayak") == ["a kayak number 2"]
    world.update(added, "a tandem in the morning")
    assert world.texts("tandem")[0] == "a tandem in the morning"
    with world.database.write() as session:
        assert versions.count_versions(session, world.principal, added) == 1
        assert deletions.delete(session, world.principal, added)
    with world.database.write() as session:
        assert trash.restore(session, world.principal, added).version == 2
    with world.database.read() as session:
        listed = memories.list_memories(session, world.principal, ListRequest(project_id=world.project_id))
        assert {one.id for one in listed.memories} == {before, added}
    with world.database.write() as session:
        deletions.delete(session, world.principal, added, permanent=True)
        assert deletions.delete_all(session, world.principal, world.project_id) == 1
        projects.delete(session, world.principal, others[0].project_id)
    world.index.wake()
    eventually(lambda: [count(world, table) for table in (*TABLES, "memory_versions")] == [3, 3, 0, 3, 0])


def test_a_query_of_a_project_reads_its_part_alone(partitioned: World) -> None:
    explain = "EXPLAIN SELECT id FROM memories WHERE project_id = :project ORDER BY id DESC LIMIT 10"
    with partitioned.database.read() as session:
        plan = "\n".join(session.scalars(sa.text(explain), {"project": partitioned.project_id}))
    assert len(set(re.findall(r"memories_\d", plan))) == 1


def test_a_backup_holds_the_parts_and_is_restored(settings: Settings, before: str, tmp_path: Path) -> None:
    backup(settings, Namespace(file=str(tmp_path / "backup")))
    database = Database(settings.database_url.get_secret_value(), connections=1)
    with database.write() as session:
        session.execute(sa.text("DELETE FROM memories"))
    database.close()
    restore(settings, Namespace(file=str(tmp_path / "backup")))
    with opened(settings, WordEmbedder()) as world:
        assert world.texts("canoe lake") == ["a red canoe on the lake"]
        assert count(world, "pg_inherits WHERE inhparent = 'memories'::regclass") == 8
