"""Failures of Postgres, or of a pooler in front of it: each gets the right answer, and no request hangs."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from server.errors import Unavailable
from server.index.upkeep.leases import SHARDS
from server.models import Memory
from server.settings import Settings
from server.shell.runtime import translating_outages
from server.storage.database import Database, migrate
from server.storage.postgres import is_pooled
from tests.conftest import Tenant
from tests.support.commands import Run
from tests.support.fakes import WordEmbedder
from tests.support.needs import find_pgbouncer
from tests.support.postgres import Databases
from tests.support.world import eventually, opened
from tests.tools.conftest import MODERN, Mcp

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]

AddTrigger = Callable[[str], None]


@pytest.fixture
def at_insert(database: Database) -> AddTrigger:
    """`at_insert(code)` runs code of PL/pgSQL before a memory is inserted."""
    return lambda code: add_trigger(database, code, "TRIGGER faulty BEFORE INSERT ON memories")


@pytest.fixture
def at_commit(database: Database) -> AddTrigger:
    """`at_commit(code)` runs code of PL/pgSQL while a transaction commits that inserted a memory."""
    when = "CONSTRAINT TRIGGER faulty AFTER INSERT ON memories DEFERRABLE INITIALLY DEFERRED"
    return lambda code: add_trigger(database, code, when)


def add_trigger(database: Database, code: str, when: str) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE tries")  # no rollback sets a sequence back
        connection.exec_driver_sql(
            f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {code}; RETURN new; END $$"
        )
        connection.exec_driver_sql(f"CREATE {when} FOR EACH ROW EXECUTE FUNCTION fault()")


async def add(client: httpx.AsyncClient, tenant: Tenant) -> httpx.Response:
    return await client.post("/api/memories", json={"content": "a red canoe"}, headers=tenant.auth)


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Memory)) or 0


@pytest.mark.parametrize("state", ["40001", "40P01"], ids=["conflict of snapshots", "deadlock"])
async def test_a_transaction_that_loses_to_others_is_tried_again(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_insert: AddTrigger, state: str
) -> None:
    at_insert(f"IF nextval('tries') < 3 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END IF")
    assert (await add(client, alice)).status_code == 200
    assert count(database) == 1


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("40P01", "The server cannot do this now; nothing was changed. Try again."),
        ("25006", "The database is read-only at the moment; nothing was changed. Try again later."),
        ("25P03", "The server cannot do this now; nothing was changed. Try again."),
        ("42P01", "The server cannot do this now; nothing was changed. Try again."),  # it is being restored
        ("53100", "The database has no space left on its disk; nothing was changed. Tell the server's administrator."),
        ("53200", "The server cannot do this now; nothing was changed. Try again."),
        ("53300", "The database has no connection left; nothing was changed. Try again."),
        ("55P03", "The server cannot do this now; nothing was changed. Try again."),
        ("57014", "The database took too long; nothing was changed. Ask for less, or try again."),
        ("57P01", "The server cannot do this now; nothing was changed. Try again."),
        ("58030", "The server cannot do this now; nothing was changed. Try again."),
        ("08006", "The server cannot do this now; nothing was changed. Try again."),
    ],
)
async def test_an_outage_is_a_503_that_says_what_it_is(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_insert: AddTrigger, state: str, why: str
) -> None:
    at_insert(f"RAISE EXCEPTION 'out' USING ERRCODE = '{state}'")
    answer = await add(client, alice)
    assert (answer.status_code, answer.json()["detail"]) == (503, why)
    assert int(answer.headers["Retry-After"]) > 0
    assert count(database) == 0


async def test_health_says_for_a_while_that_the_disk_of_the_database_was_full(
    client: httpx.AsyncClient, alice: Tenant, at_insert: AddTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    assert "problem" not in (await client.get("/health")).json()["checks"]["database"]
    at_insert("RAISE EXCEPTION 'full' USING ERRCODE = '53100'")
    assert (await add(client, alice)).status_code == 503
    check = (await client.get("/health")).json()["checks"]["database"]
    assert (check["status"], "no space left on its disk" in check["problem"]) == ("degraded", True)
    monkeypatch.setattr("server.shell.health.FULL_SECONDS", 0.0)
    assert (await client.get("/health")).json()["checks"]["database"]["status"] == "healthy"


def test_a_database_that_refuses_another_connection_says_so(settings: Settings, database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE limited LOGIN CONNECTION LIMIT 0")
    url = sa.make_url(settings.database_url.get_secret_value()).set(username="limited")
    try:
        with pytest.raises(Unavailable) as refused, translating_outages():
            migrate(url.render_as_string(hide_password=False))
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP ROLE limited")
    assert refused.value.detail == "The database has no connection left; nothing was changed. Try again."


def test_a_connection_that_ends_as_soon_as_it_is_made_is_an_outage(settings: Settings, database: Database) -> None:
    with contextlib.closing(Database(settings.database_url.get_secret_value(), connections=1)) as broken:

        @sa.event.listens_for(broken.engine, "do_connect")
        def _connect(dialect: sa.Dialect, _record: object, arguments: list[str], options: dict[str, object]) -> object:
            connection = dialect.connect(*arguments, **options)
            with database.read() as session:
                session.execute(sa.text(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 5000)"))
            return connection

        with pytest.raises(Unavailable), translating_outages(), broken.read() as session:
            session.execute(sa.text("SELECT 1"))


async def test_a_bug_is_no_outage(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_insert: AddTrigger
) -> None:
    at_insert("RAISE EXCEPTION 'bug' USING ERRCODE = '22012'")
    assert (await add(client, alice)).status_code == 500


async def test_a_connection_that_ends_before_the_commit_stored_nothing(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_insert: AddTrigger
) -> None:
    at_insert("PERFORM pg_terminate_backend(pg_backend_pid())")
    answer = await add(client, alice)
    assert (answer.status_code, "nothing was changed" in answer.text) == (503, True)


async def test_a_connection_that_ends_in_the_commit_may_have_stored_something(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_commit: AddTrigger
) -> None:
    at_commit("PERFORM pg_terminate_backend(pg_backend_pid())")
    answer = await add(client, alice)
    assert (answer.status_code, "it may have been stored" in answer.text) == (503, True)


async def test_a_model_hears_that_it_may_add_the_same_again(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_commit: AddTrigger
) -> None:
    mcp = Mcp(client, alice.auth, MODERN)
    at_commit("IF nextval('tries') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF")
    assert "Adding the same text again is safe" in await mcp.refusal("add_memory", content="a red canoe")
    assert await mcp.add("a red canoe") == await mcp.add("a red canoe")
    assert count(database) == 1


async def test_a_commit_that_the_database_refuses_stored_nothing(
    client: httpx.AsyncClient, alice: Tenant, database: Database, at_commit: AddTrigger
) -> None:
    at_commit("RAISE EXCEPTION 'full' USING ERRCODE = '53100'")
    answer = await add(client, alice)
    assert (answer.status_code, "nothing was changed" in answer.text) == (503, True)


def limits_of(session: sa.Connection) -> dict[str, str]:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    return {name: session.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}


def test_every_transaction_has_time_limits(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    with contextlib.closing(Database(url, connections=1, statement_seconds=600)) as database:
        with database.write() as session:
            assert limits_of(session.connection()) == {
                "lock_timeout": "15s", "statement_timeout": "10min", "idle_in_transaction_session_timeout": "1min"
            }  # fmt: skip
        with database.engine.connect() as connection:
            driver = connection.connection.dbapi_connection
            assert driver is not None
            parameters = driver.info.get_parameters()
            assert parameters["tcp_user_timeout"] == "15000"
            assert parameters["connect_timeout"] == "5"


def test_what_the_url_says_comes_first(settings: Settings) -> None:
    url = settings.database_url.get_secret_value() + "?connect_timeout=2&application_name=mine"
    with contextlib.closing(Database(url, connections=1)) as database, database.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "mine"


@pytest.fixture
def pooler(settings: Settings, tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    """The URL of a PgBouncer in transaction mode, with four sessions for all."""
    url = sa.make_url(settings.database_url.get_secret_value())
    (tmp_path / "users").write_text(f'"{url.username}" ""\n')
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={url.host} port={url.port} user={url.username}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {unused_tcp_port}\nauth_type = any\nauth_file = {tmp_path / 'users'}\npool_mode = transaction\n"
        f"default_pool_size = 4\nmax_client_conn = 100\nunix_socket_dir =\n"
    )
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    program = find_pgbouncer()
    assert program is not None
    user = ["--user", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([program, *user, tmp_path / "pgbouncer.ini"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("process up" in line for line in process.stderr)
        yield url.set(port=unused_tcp_port).render_as_string(hide_password=False)
        process.terminate()


@pytest.mark.needs("pgbouncer")
def test_a_pooler_in_transaction_mode_loses_no_limit_and_no_statement(settings: Settings, pooler: str) -> None:
    with contextlib.closing(Database(pooler, connections=8, statement_seconds=600)) as database:
        with database.read() as session:
            assert is_pooled(session.connection())
            assert limits_of(session.connection())["statement_timeout"] == "10min"
        for _ in range(20):  # the driver would prepare a statement that comes often, in one of the sessions
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    session = stack.enter_context(database.read())
                    session.execute(sa.select(Memory)).all()
    url = settings.database_url.get_secret_value()
    with contextlib.closing(Database(url, connections=1)) as direct, direct.engine.connect() as connection:
        assert not is_pooled(connection)


@pytest.mark.needs("pgbouncer")
def test_a_server_works_behind_a_pooler(settings: Settings, pooler: str, tmp_path: Path) -> None:
    with opened(settings.model_copy(update={"database_url": SecretStr(pooler)}), WordEmbedder()) as world:
        ids = [world.add(f"canoe number {n}") for n in range(12)]
        world.delete(ids[0])
        assert len(world.texts("canoe", limit=100)) == 11
        eventually(lambda: world.index.state().shards == SHARDS)
        with opened(world.settings.model_copy(update={"data_dir": tmp_path}), WordEmbedder()) as other:
            world.index._worker.stop()
            eventually(lambda: other.index.state().shards == SHARDS)


def test_a_backup_is_restored_on_another_machine_beside_tables_of_other_programs(
    settings: Settings, postgres: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    with opened(settings, WordEmbedder()) as world:
        world.add("a red canoe on the lake")
        with world.database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE photos AS SELECT 1")
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", settings.database_url.get_secret_value())
    assert run("backup", str(tmp_path / "backup")).code == 0
    url = postgres.make_empty()
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", url)
    for _ in range(2):
        assert run("restore", str(tmp_path / "backup")).code == 0
    with opened(settings.model_copy(update={"database_url": SecretStr(url)}), WordEmbedder()) as world:
        world.add("a kayak at night")
        assert sorted(world.texts("kayaks and canoes")) == ["a kayak at night", "a red canoe on the lake"]
        with world.database.engine.connect() as connection:
            assert not sa.inspect(connection).has_table("photos")
    postgres.drop(url)


def test_without_pg_dump_one_sentence_says_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = run("backup", str(tmp_path / "backup"))
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ran.err.startswith("selfmemory: pg_dump is not installed here: install the client programs of PostgreSQL ")


def test_the_first_of_several_servers_that_answers_is_used(
    database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = sa.make_url(database_url)
    several = f"postgresql://{parts.username}@127.0.0.1:1,127.0.0.1:{parts.port}/{parts.database}"
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", several)
    assert run("create-user", "--email", "ann@example.com").code == 0
