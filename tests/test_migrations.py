"""The migrations give exactly the tables of the models, on both databases, and may be run by many at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

from server.database import Database, migrate
from tests.support.earlier import ROWS, database_at

SCRIPTS = Path(__file__).parent.parent / "server" / "migrations"
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))]


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        databases = request.getfixturevalue("postgres")
        url = databases.make_empty()
        yield url
        databases.drop(url)


@pytest.fixture
def engine(empty_url: str) -> Iterator[sa.Engine]:
    database = Database(empty_url, connections=2)
    yield database.engine
    database.close()


def revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_from_nothing_they_give_the_tables_of_the_models(empty_url: str, engine: sa.Engine) -> None:
    migrate(empty_url)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)  # raises, naming the differences


def test_once_they_are_done_nothing_is_done_again(empty_url: str, engine: sa.Engine) -> None:
    migrate(empty_url)
    done = revision(engine)
    migrate(empty_url)
    assert revision(engine) == done


def test_processes_that_start_at_once_wait_for_the_first(empty_url: str, engine: sa.Engine) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, [empty_url] * 4))
    assert revision(engine) is not None
    with engine.connect() as connection:
        assert {"memories", "memory_words"} <= set(sa.inspect(connection).get_table_names())


def test_the_words_index_is_there(empty_url: str, engine: sa.Engine) -> None:
    migrate(empty_url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM memory_words")).scalar_one() == 0


def test_the_data_of_the_version_before_is_kept(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    migrate(empty_url)
    with engine.connect() as connection:
        kept = [name for name in ROWS if sa.inspect(connection).has_table(name)]
        counts = {name: connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) for name in kept}
    assert counts == {name: len(ROWS[name]) for name in kept}


def test_a_refresh_token_that_was_exchanged_has_a_successor(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO oauth_refresh_tokens (token_hash, grant_id, created_at, expires_at) "
            "SELECT 'live', grant_id, created_at, expires_at FROM oauth_refresh_tokens"
        )
    migrate(empty_url)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT token_hash, successors, reused_at FROM oauth_refresh_tokens")
        assert sorted(map(tuple, kept)) == [("live", 0, None), ("refresh", 1, None)]
        assert not sa.inspect(connection).has_table("oauth_parked_requests")
