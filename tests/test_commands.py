"""The command line: only results on standard output, messages on standard error, and one clear line per error."""

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import select

from server import __version__
from server.domain import credentials
from server.domain.credentials import PresentedCredential
from server.hashing import is_api_key, password_matches
from server.models import AuditEvent, Memory, Notification, Organization, Project, User
from server.storage.database import Database
from tests.support.commands import Run, lines

SECRET = "hunter2-hunter2-hunter2-hunter2"


def test_create_user_prints_the_id_alone(run: Run, stored: Database) -> None:
    user_id = run("create-user", "--email", "Ann@Example.com", "--name", "Ann").result
    with stored.read() as session:
        user = session.exec(select(User)).one()
        assert (user.id, user.email, user.name) == (user_id, "ann@example.com", "Ann")
        assert user.email_verified_at is not None


def test_a_new_user_has_a_personal_organization_with_one_project(run: Run, stored: Database) -> None:
    user_id = run("create-user", "--email", "ann@example.com").result
    with stored.read() as session:
        place = session.exec(select(Organization)).one()
        assert (place.owner_id, place.kind) == (user_id, "personal")
        assert session.exec(select(Project)).one().organization_id == place.id


@pytest.mark.parametrize("line", [None, f"{SECRET}\n", f"{SECRET}\r\n", f"\ufeff{SECRET}"])
def test_the_password_may_come_both_ways(run: Run, stored: Database, line: str | None) -> None:
    if line is None:
        assert run("create-user", "--email", "ann@example.com", "--password", SECRET).err == ""
    else:
        run("create-user", "--email", "ann@example.com", "--password-stdin", given=line.encode())
    with stored.read() as session:
        assert password_matches(session.exec(select(User)).one().password_hash, SECRET)


def test_without_a_password_nobody_can_sign_in(run: Run, stored: Database) -> None:
    run("create-user", "--email", "ann@example.com")
    with stored.read() as session:
        assert session.exec(select(User)).one().password_hash is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("create-user", "--email", "nobody"), "email"),
        (("create-user", "--email", "ann@example.com", "--password", "short"), "password: use 8 to 200 characters."),
        (("create-key", "--email", "ann@example.com", "--permissions", "fly"), "permissions: use read, write or both."),
        (("create-key", "--email", "ann@example.com", "--expires-in-days", "0"), "expires_in_days: use 1 to 3650."),
        (("create-key", "--email", "ann@example.com", "--project", "/"), "project: use 2 to 100 letters"),
        (("export", "--project", "proj_0"), "There is no project with the id or name proj_0. "),
        (("import", "--project", "proj_0"), "There is no project with the id or name proj_0. "),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_made(
    run: Run, stored: Database, arguments: tuple[str, ...], why: str
) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert why in ran.err.splitlines()[-1]
    assert "Traceback" not in ran.err
    with stored.read() as session:
        assert session.exec(select(User)).all() == []


def test_an_address_has_one_account(run: Run) -> None:
    run("create-user", "--email", "ann@example.com")
    ran = run("create-user", "--email", "ANN@example.com")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "selfmemory: An account with this email address already exists.\n"


def test_create_key_makes_what_is_missing_and_prints_the_key_alone(run: Run, stored: Database) -> None:
    key = run("create-key", "--email", "ann@example.com", "--project", "Holidays").result
    assert is_api_key(key)
    with stored.read() as session:
        project = session.exec(select(Project).where(Project.name == "Holidays")).one()
        principal = credentials.authenticate(session, PresentedCredential(key)).principal
        assert principal.project_id == project.id
        assert {scope.value for scope in principal.scopes} == {"memories:read", "memories:write"}


def test_a_key_of_the_command_line_is_audited_and_reported(run: Run, stored: Database) -> None:
    run("create-key", "--email", "ann@example.com")
    with stored.read() as session:
        [event] = session.exec(select(AuditEvent).where(AuditEvent.type == "api_key.created"))
        assert event.actor_id is None
        assert [told.type for told in session.exec(select(Notification))] == ["api_key_created"]


def test_create_key_uses_what_is_there(run: Run, stored: Database) -> None:
    run("create-key", "--email", "ann@example.com", "--project", "Holidays")
    run("create-key", "--email", "ann@example.com", "--project", "holidays", "--permissions", "read")
    run("create-key", "--email", "ann@example.com")
    with stored.read() as session:
        assert len(session.exec(select(User)).all()) == 1
        assert len(session.exec(select(Project)).all()) == 2


def test_an_import_keeps_to_the_quota(run: Run, project_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMEMORY_QUOTA_MEMORIES", "1")
    ran = run("import", "--project", project_id, given=lines("Tea is good.", "So is coffee."))
    assert (ran.code, "it holds 0 of at most 1 memories" in ran.err) == (1, True)


@pytest.mark.parametrize("bad", [b"{not json}\n", b"\xff\xfe\n", b'{"content": ""}\n', b"[]\n"])
def test_a_bad_line_is_named_with_its_number_and_nothing_is_half_done(
    run: Run, stored: Database, project_id: str, bad: bytes
) -> None:
    ran = run("import", "--project", project_id, given=lines("Tea is good.") + b"\n" + bad + lines("Or not."))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith("selfmemory: Nothing was imported. line 3: ")
    with stored.read() as session:
        assert session.exec(select(Memory)).all() == []


def test_reindex_shows_its_progress_in_a_terminal_alone(
    run: Run, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import", "--project", project_id, given=lines("Tea is good."))
    ran = run("reindex")
    assert (ran.code, ran.out) == (0, "")
    assert "1/1" not in ran.err
    assert ran.err.endswith("Index rebuilt.\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "1/1" in run("reindex").err


def test_settings_that_cannot_be_used_stop_every_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", f"mysql://me:{SECRET}@127.0.0.1/x")
    for command in (("serve",), ("doctor",), ("create-key", "--email", "ann@example.com")):
        ran = run(*command)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("selfmemory: SELFMEMORY_DATABASE_URL: ")
        assert ran.err.count("\n") == 1
        assert SECRET not in ran.err


def test_a_database_that_is_away_is_said_in_one_line_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    url = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:{unused_tcp_port}/x"
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", url)
    ran = run("create-user", "--email", "ann@example.com")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("selfmemory: the database is not usable")
    assert SECRET not in ran.err


@pytest.mark.parametrize("before", [True, False], ids=["before the command", "after it"])
@pytest.mark.parametrize("number", ["0", "many", "257"])
def test_a_number_of_workers_that_cannot_be_is_refused_as_a_setting(run: Run, before: bool, number: str) -> None:
    ran = run("--workers", number, "serve") if before else run("serve", "--workers", number)
    assert ran.code == 1
    assert ran.err.startswith("selfmemory: --workers or SELFMEMORY_WORKERS: write a number from 1 to 256, or auto")


@pytest.mark.parametrize("port", ["eighty", "80x", "-1", "65536"])
def test_a_refused_port_names_the_option_or_the_setting(run: Run, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    ran = run("serve", f"--port={port}")
    assert ran.code == 1
    assert ran.err.startswith("selfmemory: --port or SELFMEMORY_PORT: must be ")
    monkeypatch.setenv("SELFMEMORY_PORT", port)
    assert run("doctor").err.startswith("selfmemory: SELFMEMORY_PORT: must be ")


def test_a_message_names_the_command_as_it_was_started(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["my env/bin/python", "-m", "server", "create-user"])
    ran = run("create-user", "--email", "ann@example.com")
    assert "first: 'my env/bin/python' -m server reset-password --email ann@example.com\n" in ran.err


def test_an_interrupted_command_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("server.commands.accounts.create_user", interrupt)
    ran = run("create-user", "--email", "ann@example.com")
    assert (ran.code, ran.out, ran.err) == (130, "", "selfmemory: stopped before it was finished.\n")


def test_the_version_is_printed(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--version")
    assert (ended.value.code, capfd.readouterr().out) == (0, f"{__version__}\n")


def test_a_new_database_is_mentioned(run: Run, data_dir: Path) -> None:
    """In a wrong folder, the key would work nowhere."""
    shutil.rmtree(data_dir)
    file = data_dir / "selfmemory.db"
    assert f"Created the database {file}. If the server uses" in run("create-key", "--email", "ann@example.com").err
    assert "Created the database" not in run("create-key", "--email", "ann@example.com").err


def test_an_unknown_command_is_a_wrong_command_line(run: Run) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("fly")
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "--project", "proj_1", ""),
        ("import", "--project", " "),
        ("export", "--project", ""),
        ("backup", ""),
        ("restore", ""),
        ("create-client", "--redirect-uri", "https://a.example/", "--name", " "),
    ],
)
def test_an_empty_argument_is_refused(run: Run, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """An unset variable of a shell would otherwise mean the current folder."""
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert (ended.value.code, "must not be empty" in capfd.readouterr().err) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--project", "proj_0"),
        ("import", "--project", "proj_0"),
        ("reindex",),
        ("reset-password", "--email", "ann@example.com"),
        ("backup", "-"),
        ("backup", "copy"),
        ("doctor",),
    ],
)
@pytest.mark.parametrize("setting", ["DATA_DIR to the folder", "DATABASE_URL to the database"])
def test_without_a_database_none_is_made(
    run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], setting: str
) -> None:
    shutil.rmtree(data_dir)
    if setting.startswith("DATABASE_URL"):
        monkeypatch.setenv("SELFMEMORY_DATABASE_URL", f"sqlite:///{data_dir / 'selfmemory.db'}")
    ran = run(*arguments)
    assert ran.code == 1
    what_to_do = f"start the server once, or set SELFMEMORY_{setting} of the server"
    sentence = f"there is no database {data_dir / 'selfmemory.db'}: {what_to_do}\n"
    assert ("WRONG  database    " if ran.out else "selfmemory: ") + sentence in (ran.out or ran.err)
    assert list(data_dir.parent.iterdir()) == []


@pytest.mark.parametrize("beginning", [b"notes", b"SQLite format 3\0"], ids=["text", "damaged"])
def test_a_restore_that_is_refused_leaves_nothing(run: Run, data_dir: Path, beginning: bytes) -> None:
    shutil.rmtree(data_dir)
    bad = data_dir.parent / "bad"
    bad.write_bytes(beginning + b"x" * 100)
    assert run("restore", str(bad)).code == 1
    assert run("restore", "-", given=bad.read_bytes()).code == 1
    assert list(data_dir.parent.iterdir()) == [bad]


def test_a_database_without_our_tables_gets_none(run: Run, data_dir: Path) -> None:
    file = data_dir / "selfmemory.db"
    file.write_bytes(b"")
    assert "the database has no tables of this server" in run("export", "--project", "proj_0").err
    assert "WRONG  database    the database has no tables of this server" in run("doctor").out
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_a_file_in_the_place_of_the_data_folder_is_named(run: Run, data_dir: Path) -> None:
    shutil.rmtree(data_dir)
    data_dir.write_text("")
    ran = run("create-user", "--email", "ann@example.com")
    assert f"cannot write to the data folder {data_dir}" in ran.err
    assert "it is not a folder. Set SELFMEMORY_DATA_DIR to another folder" in ran.err


def test_a_database_that_cannot_be_read_is_not_backed_up(run: Run, data_dir: Path, tmp_path: Path) -> None:
    file = data_dir / "selfmemory.db"
    file.write_text("This is not a database, only text of some length.")
    ran = run("backup", str(tmp_path / "backup"))
    assert ran.err.startswith(f"selfmemory: {file} is damaged or not a SQLite database: ")
    assert (ran.code, (tmp_path / "backup").exists()) == (1, False)
