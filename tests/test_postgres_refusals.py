"""A Postgres database that cannot be used, and the one line that says what to do."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from server.__main__ import main
from tests.support.postgres import Databases

Refusal = Callable[[str], str]
pytestmark = pytest.mark.needs("postgres")


@pytest.fixture
def refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], own_logging: None
) -> Refusal:
    """`refusal(url)` is the one line of a command that uses the database."""
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir("/")

    def start(url: str) -> str:
        monkeypatch.setenv("SELFMEMORY_DATABASE_URL", url)
        assert main(("create-user", "--email", "ann@example.com")) == 1
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        return err.removeprefix("selfmemory: ").rstrip("\n")

    return start


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


@pytest.mark.parametrize("options", ["schema=public", "pgbouncer=true&connection_limit=1"])
def test_an_option_that_postgres_does_not_know_is_named(refusal: Refusal, postgres: Databases, options: str) -> None:
    name = options.partition("=")[0]
    said = refusal(with_options(postgres.make(), options))
    assert said == f"the database is not usable: remove the unknown option {name} from SELFMEMORY_DATABASE_URL"


def test_a_user_who_may_not_create_tables_is_told_what_to_run(refusal: Refusal, postgres: Databases) -> None:
    url = sa.make_url(postgres.make_empty())
    with postgres.role() as role:
        postgres.run(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # the default since Postgres 15
        said = refusal(url.set(username=role, password="x").render_as_string(hide_password=False))
    assert said == (
        "the database is not usable: the user in SELFMEMORY_DATABASE_URL lacks a right there. "
        "Run in Postgres: ALTER DATABASE name OWNER TO user"
    )


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_an_encoding_that_lacks_most_letters_is_refused(refusal: Refusal, postgres: Databases, encoding: str) -> None:
    """The first is the default of a Postgres that was installed without a locale."""
    said = refusal(postgres.make_empty(f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"))
    assert said == (
        f"the database has the encoding {encoding}, which lacks most letters: create another one in Postgres with "
        "CREATE DATABASE name ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
    )


def test_the_encoding_of_other_clients_does_not_matter(
    postgres: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", postgres.make())
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path))
    assert main(("create-user", "--email", "ann@example.com", "--name", "Łucja 🎉")) == 0


def test_a_search_path_that_leads_nowhere_is_said(refusal: Refusal, postgres: Databases) -> None:
    said = refusal(with_options(postgres.make_empty(), "options=-csearch_path%3Dnowhere"))
    assert said == "the database is not usable: it has no schema for tables: create one, or correct the search_path"


def test_a_server_without_tls_is_said(refusal: Refusal, postgres: Databases) -> None:
    said = refusal(with_options(postgres.make(), "sslmode=require"))
    assert said == "the database is not usable: check the sslmode in SELFMEMORY_DATABASE_URL"


def test_a_host_that_does_not_exist_is_said(refusal: Refusal) -> None:
    said = refusal("postgresql://me:it@nowhere.invalid/x")
    assert said == "the database is not usable: the host in SELFMEMORY_DATABASE_URL cannot be found"


def test_the_driver_does_not_log_the_error_that_it_raises(
    refusal: Refusal, postgres: Databases, capfd: pytest.CaptureFixture[str]
) -> None:
    refusal("postgresql://me:it@nowhere.invalid/x")
    plain = sa.make_url(postgres.make_empty()).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection, pytest.raises(psycopg.errors.DivisionByZero):
        connection.cursor().executemany("SELECT 1 / %s", [(0,)] * 5_000)
    assert capfd.readouterr().err == ""
