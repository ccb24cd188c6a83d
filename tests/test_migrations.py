"""The migrations give exactly the tables of the models, on both databases, and may be run by many at once."""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

from server.commands.postgres_copy import OUR_TABLES
from server.index.upkeep import due
from server.index.upkeep.leases import SHARDS
from server.models.stored_size import TOTAL_SIZE
from server.storage import database
from server.storage.database import Database, migrate, newest_schema
from tests.support.earlier import CREATED, ROWS, database_at, upgrade_to

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


def test_only_its_owner_can_read_a_database_in_a_folder_that_others_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    migrate(f"sqlite:///{tmp_path / 'new.db'}")
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("new.db*")}
    assert set(modes.values()) == {0o600}, modes


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


def test_account_events_move_to_their_person_and_invitations_without_a_right_end(
    empty_url: str, engine: sa.Engine
) -> None:
    database_at(empty_url, "0004")
    added = """
        INSERT INTO audit_events (id, organization_id, type, actor_id, target, metadata, created_at) VALUES
            ('evt_in', 'org_ben', 'account.signed_in', 'user_ben', '', '{}', '2026-11-01 12:00:00'),
            ('evt_org', 'org_ben', 'project.created', 'user_ben', '', '{}', '2026-11-01 12:00:00')
    """
    sent_by_ben = """
        INSERT INTO invitations
            (id, organization_id, email, role, token_hash, invited_by, status, created_at, expires_at) VALUES
            ('inv_two', 'org_team', 'joe@example.com', 'admin', 'two', 'user_ben', 'pending', '2026-11-01 12:00:00',
             '2036-11-01 12:00:00')
    """
    with engine.begin() as connection:
        for statement in (added, sent_by_ben):
            connection.execute(sa.text(statement))
    migrate(empty_url)
    with engine.connect() as connection:
        events = connection.execute(sa.text("SELECT id, organization_id, user_id FROM audit_events ORDER BY id")).all()
        statuses = connection.execute(sa.text("SELECT id, status FROM invitations ORDER BY id")).all()
        mailed = connection.execute(sa.text("SELECT was_mailed FROM mailed_tokens")).scalar_one()
    assert events == [
        ("evt_in", None, "user_ben"), ("evt_one", "org_team", None), ("evt_org", "org_ben", None),
        ("evt_two", None, None),
    ]  # fmt: skip
    assert statuses == [("inv_one", "pending"), ("inv_two", "cancelled")]
    assert mailed


def test_versions_kept_as_changes_can_be_filled_up_again(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    migrate(empty_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE memories SET version = 4")
        for version, content, details in ((2, None, '{"n": 2}'), (3, "text 3", None)):
            row = {"version": version, "content": content, "details": details, "now": CREATED}
            insert = sa.text(
                "INSERT INTO memory_versions (memory_number, version, content, metadata, updated_at)"
                " VALUES (1, :version, :content, :details, :now)"
            )
            connection.execute(insert, row)
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
        rows = connection.exec_driver_sql("SELECT version, content, metadata FROM memory_versions ORDER BY version")
        kept = [(version, content, json.loads(d) if isinstance(d, str) else d) for version, content, d in rows]
    assert kept == [(1, "old text", {"tags": "a"}), (2, "text 3", {"n": 2}), (3, "text 3", {"tags": "a,b"})]


def test_addresses_get_their_domain_in_letters_unless_another_account_has_them(
    empty_url: str, engine: sa.Engine
) -> None:
    database_at(empty_url, "0004")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE users SET email = 'ann@xn--mnchen-3ya.de' WHERE id = 'user_ann'")
        connection.exec_driver_sql("UPDATE invitations SET email = 'eve@xn--p1ai.xn--p1ai'")
        connection.exec_driver_sql(
            "INSERT INTO users (id, email, name, created_at, updated_at)"
            " SELECT 'user_' || e, 'twice@' || e || '.de', '', created_at, updated_at"
            " FROM users, (SELECT 'xn--mnchen-3ya' AS e UNION SELECT 'm\u00fcnchen') AS both_forms"
            " WHERE id = 'user_ben'"
        )
    migrate(empty_url)
    with engine.connect() as connection:
        users = connection.exec_driver_sql("SELECT email FROM users").scalars()
        assert sorted(users) == ["ann@münchen.de", "ben@example.com", "twice@münchen.de", "twice@xn--mnchen-3ya.de"]
        assert connection.exec_driver_sql("SELECT email FROM invitations").scalars().all() == ["eve@рф.рф"]


def test_labels_are_stored_as_they_look(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    add = sa.text("INSERT INTO labels (memory_number, project_id, kind, value) VALUES (1, 'proj_one', 'tag', :value)")
    labels = ("o\u2019neil", "o'neil", "follow\u2010up", "caf\u00e9", "\u200b")
    with engine.begin() as connection:
        connection.execute(add, [{"value": label} for label in labels])
    migrate(empty_url)
    with engine.connect() as connection:
        assert {*connection.scalars(sa.text("SELECT value FROM labels"))} == {"a", "café", "follow-up", "o'neil"}


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


def test_the_bytes_of_the_memories_that_are_there_are_counted(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE memories SET content = 'Grüße', messages = '[{}]'")
    migrate(empty_url)
    with engine.connect() as connection:
        counted = connection.exec_driver_sql("SELECT memory_bytes FROM projects").scalar_one()
        assert counted == connection.execute(sa.select(TOTAL_SIZE)).scalar_one() == 7 + len('{"tags": "a,b"}') + 4


def test_memories_that_were_there_have_no_source_and_never_expire(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    upgrade_to(empty_url, "0014")
    migrate(empty_url)
    columns = "source_kind, source_id, source_name, updated_source, stored_at, expires_at"
    with engine.connect() as connection:
        assert connection.execute(sa.text(f"SELECT {columns} FROM memories")).one() == (None,) * 6
        assert not connection.scalar(sa.text("SELECT pinned FROM memories"))
        assert connection.execute(sa.text("SELECT source, pinned FROM memory_versions")).one() == (None, None)
        assert connection.scalar(sa.text("SELECT trash_days FROM projects")) is None


def test_a_collection_that_holds_deleted_vectors_stays_in_use_and_is_built_once_more(
    empty_url: str, engine: sa.Engine
) -> None:
    database_at(empty_url, "0004")
    upgrade_to(empty_url, "0021")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE projects SET removals = 5")
        insert = sa.text(
            "INSERT INTO project_indexes (project_id, collection, embedding_model, mean, removals, ready_at)"
            " VALUES ('proj_one', 'one', 'm', :mean, :removals, :now)"
        )
        connection.execute(insert, {"now": CREATED, "mean": b"", "removals": 4})
    migrate(empty_url)
    columns = "collection, removals, erased, ready_at IS NULL, ready_at = erased_at, building, built_to"
    with engine.connect() as connection:
        row = connection.execute(sa.text(f"SELECT {columns} FROM project_indexes")).one()
        assert row == ("one", 3, 5, False, True, "", 0)
        assert connection.scalar(due.bloated_projects()) == "proj_one"
        owners = connection.execute(sa.text("SELECT shard, holder, fence FROM index_owners ORDER BY shard")).all()
    assert owners == [(shard, None, 0) for shard in range(SHARDS)]


REBUILD = """
from alembic import op
revision, down_revision = "9999", "{newest}"


def upgrade():
    with op.batch_alter_table("projects", recreate="{recreate}") as table:
        table.alter_column("name", new_column_name="called")
"""


def test_a_migration_that_rebuilds_a_table_keeps_what_refers_to_it(
    empty_url: str, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite copies the table and drops the old one, which deletes from it first."""
    database_at(empty_url, "0004")
    migrate(empty_url)
    later = Path(shutil.copytree(SCRIPTS, tmp_path / "migrations"))
    recreate = "always" if empty_url.startswith("sqlite") else "never"
    (later / "versions" / "9999_later.py").write_text(REBUILD.format(newest=newest_schema(), recreate=recreate))
    monkeypatch.setattr(database, "MIGRATIONS", later)
    migrate(empty_url)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT called FROM projects")) == "One"
        assert connection.scalar(sa.text("SELECT count(*) FROM pieces")) == 1


def test_saved_views_go_with_their_project(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    upgrade_to(empty_url, "0021")
    migrate(empty_url)
    saved = sa.text(
        "INSERT INTO saved_views (id, project_id, user_id, name, name_key, query, created_at)"
        " VALUES (:id, 'proj_one', :user, 'Work', 'work', '?tags=work', :now)"
    )
    with engine.begin() as connection:
        for user in ("ann", "ben"):
            connection.execute(saved, {"id": f"view_{user}", "user": f"user_{user}", "now": CREATED})
        connection.execute(sa.text("DELETE FROM projects"))
        assert connection.scalar(sa.text("SELECT count(*) FROM saved_views")) == 0


def test_begun_deletions_go_with_their_project(empty_url: str, engine: sa.Engine) -> None:
    database_at(empty_url, "0004")
    upgrade_to(empty_url, "0022")
    migrate(empty_url)
    begun = sa.text(
        "INSERT INTO begun_deletions (id, project_id, user_id, newest, created_at, touched_at)"
        " VALUES ('del_one', 'proj_one', NULL, 1, :now, :now)"
    )
    with engine.begin() as connection:
        connection.execute(begun, {"now": CREATED})
        assert connection.scalar(sa.text("SELECT count(*) FROM memories")) == 1
        connection.execute(sa.text("DELETE FROM projects"))
        assert connection.scalar(sa.text("SELECT count(*) FROM begun_deletions")) == 0


def test_a_backup_knows_the_tables_of_every_version() -> None:
    """What is not in this list belongs to other programs, and is left out."""
    sources = [file.read_text("utf-8") for file in (SCRIPTS / "versions").glob("*.py")]
    made = {name for source in sources for name in re.findall(r'create_table\(\s*"(\w+)"', source)}
    assert made - OUR_TABLES == set()
