"""Indexes of large tables are built while others write. If a run is interrupted, the next one builds them again."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.storage import database
from server.storage.database import migrate, newest_schema
from tests.support.earlier import database_at
from tests.support.world import eventually
from tests.test_migrations import SCRIPTS, empty_url, engine, revision

__all__ = ["empty_url", "engine"]  # fixtures


ONLINE = """
from server.migrations import online
revision, down_revision = "9999", "{newest}"


def upgrade():
    online.create_index("ix_memories_of_test", "memories", ["project_id", "version"])
"""


@pytest.fixture
def with_online_index(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of this version with data, and a later version that has an index more."""
    database_at(empty_url, "0004")
    migrate(empty_url)
    later = Path(shutil.copytree(SCRIPTS, tmp_path / "migrations"))
    (later / "versions" / "9999_later.py").write_text(ONLINE.format(newest=newest_schema()))
    monkeypatch.setattr(database, "MIGRATIONS", later)


def has_online_index(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        names = [index["name"] for index in sa.inspect(connection).get_indexes("memories")]
        if connection.dialect.name == "sqlite":
            return "ix_memories_of_test" in names
        is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_memories_of_test')"
        return connection.scalar(sa.text(is_valid)) is True


@pytest.mark.usefixtures("with_online_index")
def test_an_index_is_built_while_others_write(empty_url: str, engine: sa.Engine) -> None:
    """The migration waits for the transaction of a writer that has begun, but keeps no later one from writing."""
    if empty_url.startswith("sqlite"):
        migrate(empty_url)
    else:
        with ThreadPoolExecutor(1) as threads, engine.connect() as writer:
            writer.exec_driver_sql("UPDATE memories SET version = 3")
            migrating = threads.submit(migrate, empty_url)
            eventually(lambda: bool(count(engine, "pg_locks WHERE locktype = 'virtualxid' AND NOT granted")))
            with engine.begin() as another:
                another.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                another.exec_driver_sql("INSERT INTO labels VALUES (1, 'tag', 'new', 'proj_one')")
                another.exec_driver_sql("UPDATE memories SET version = 4 WHERE number = 0")
            writer.commit()
            migrating.result(20)
    assert has_online_index(engine)
    assert revision(engine) == "9999"


@pytest.mark.usefixtures("with_online_index")
def test_an_index_that_an_interrupted_run_left_is_built_again(empty_url: str, engine: sa.Engine) -> None:
    if empty_url.startswith("postgres"):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET statement_timeout = '50ms'")
            build = "CREATE INDEX CONCURRENTLY ix_memories_of_test ON memories (project_id, version)"
            with engine.connect() as writer:
                writer.exec_driver_sql("UPDATE memories SET version = 3")
                with pytest.raises(sa.exc.OperationalError):
                    connection.exec_driver_sql(build)
        assert count(engine, "pg_index WHERE NOT indisvalid") == 1
    migrate(empty_url)
    assert has_online_index(engine)


@pytest.mark.usefixtures("with_online_index")
def test_processes_that_start_at_once_build_the_index_once(empty_url: str, engine: sa.Engine) -> None:
    """Postgres waits for the snapshots of all others, so one that waits for its turn must not have any."""
    with ThreadPoolExecutor(3) as threads:
        for migrating in [threads.submit(migrate, empty_url) for _ in range(3)]:
            migrating.result(30)
    assert has_online_index(engine)


def count(engine: sa.Engine, rows: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.text(f"SELECT count(*) FROM {rows}")) or 0)


def test_an_online_index_has_a_migration_of_its_own() -> None:
    """It ends the transaction, so what stands before it would be repeated after an interruption, and fail."""
    for file in (SCRIPTS / "versions").glob("*.py"):
        source = file.read_text("utf-8").partition("def upgrade")[2].partition("def downgrade")[0]
        assert not ("online." in source and "op." in source), file.name


def test_the_log_says_that_an_earlier_database_is_upgraded(empty_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, database.__name__)
    database_at(empty_url, "0004")
    migrate(empty_url)
    migrate(empty_url)
    said = [(record.message, vars(record)["schema"], vars(record)["to"]) for record in caplog.records]
    assert said == [("upgrading the database", "0004", newest_schema())]
