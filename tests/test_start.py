"""Problems that stop the start, each with a sentence that says what to do, and problems that only cause a warning."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server import waits
from server.__main__ import main
from server.app import open_runtime
from server.commands import accounts, running, serving, start_warnings
from server.metrics import Metrics
from server.settings import Settings, SettingsError, read_settings
from server.storage import data_folder, database, sqlite
from tests.support.fakes import WordEmbedder
from tests.support.postgres import Databases
from tests.support.server_process import ROOT, environment

OTHER_USER = 65534
LOADED = (accounts, running, serving)  # imported by the commands themselves, here while this user may still read them

Refusal = Callable[..., str]


@pytest.fixture
def refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], own_logging: None
) -> Refusal:
    """`refusal("serve", PORT="1")` is the one line of a refused start."""
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir("/")

    def start(*arguments: str, **settings: object) -> str:
        for name, value in settings.items():
            monkeypatch.setenv(f"SELFMEMORY_{name}", str(value))
        assert main(arguments or ("serve", "--port", "0")) == 1
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1), err
        assert err.startswith("selfmemory: ")
        return err.removeprefix("selfmemory: ").rstrip("\n")

    return start


@pytest.fixture
def of_root() -> Iterator[Path]:
    """A folder that everybody may read, in which the user of this test may not write."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    was_root = os.geteuid() == 0
    yield folder
    if was_root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def become_somebody_else(folder: Path) -> int:
    """Take away the right to write in the folder, and return the user's id."""
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(OTHER_USER)
    return os.geteuid()


def test_a_port_that_is_taken_names_the_setting(refusal: Refusal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal("serve", PORT=port)
    assert said.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "stop the program that uses this port, or set SELFMEMORY_PORT (--port) to another one" in said


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]"])
def test_an_ipv6_address_stands_in_brackets(refusal: Refusal, host: str) -> None:
    assert re.match(r"cannot listen on \[2001:db8::1\]:8081: (?!Name)", refusal("--host", host, "--port", "8081"))


def test_an_address_of_another_machine_names_the_setting(refusal: Refusal) -> None:
    assert "set SELFMEMORY_HOST (--host) to an address of this machine" in refusal("--host", "203.0.113.1")


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("create-user", "--email", "ann@example.com")])
def test_a_folder_of_another_user_is_named_with_the_user_and_the_command(
    refusal: Refusal, of_root: Path, arguments: tuple[str, ...]
) -> None:
    user = become_somebody_else(of_root)
    said = refusal(*arguments, DATA_DIR=of_root)
    assert said.startswith(f"cannot write to the data folder {of_root} as user {user}: ")
    assert f"Run: sudo chown -R {user} {of_root}" in said
    assert "SELFMEMORY_DATA_DIR" in said


def test_a_folder_that_cannot_be_made_is_named_with_the_command_that_makes_it(refusal: Refusal, of_root: Path) -> None:
    user = become_somebody_else(of_root)
    missing = of_root / "my data"
    assert f"Run: sudo install -d -o {user} '{missing}'" in refusal(DATA_DIR=missing)


def test_a_file_in_the_place_of_the_folder_is_named(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(DATA_DIR=tmp_path / "file")
    assert f"the data folder {tmp_path / 'file'} " in said
    assert "Set SELFMEMORY_DATA_DIR to another folder" in said


@pytest.fixture
def stored(tmp_path: Path, sqlite_template: Path) -> Path:
    (tmp_path / "data").mkdir()
    return Path(shutil.copy(sqlite_template, tmp_path / "data" / "selfmemory.db"))


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("create-user", "--email", "ann@example.com")])
def test_a_database_that_another_program_holds_is_named(
    refusal: Refusal, stored: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(waits, "WAIT_SECONDS", 0.2)
    holder = sqlite3.connect(stored)
    holder.executescript("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE")
    said = started_app(stored.parent) if arguments[0] == "serve" else refusal(*arguments)
    holder.close()
    assert said == f"another program holds the database {stored}: close that program, then try again"


def started_app(folder: Path) -> str:
    """The sentence with which the app refuses to open its parts, as its lifespan does."""
    with pytest.raises(SettingsError) as refused:
        open_runtime(read_settings(None, data_dir=folder), lambda _settings: WordEmbedder(), Metrics(None))
    return str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xa5\xff"])
def test_a_damaged_secret_key_is_named_and_never_used(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret_key"
    file.write_bytes(content)
    assert f"the secret key {file} is empty or damaged: put the earlier file back" in started_app(tmp_path)
    assert file.read_bytes() == content


def test_a_read_only_database_is_named_with_the_command(
    refusal: Refusal, of_root: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = database.newest_schema()
    monkeypatch.setattr(database, "newest_schema", lambda: newest)  # the other user may be unable to read the checkout
    folder = of_root / "data"
    file = folder / "selfmemory.db"
    folder.mkdir()
    shutil.copy(sqlite_template, file)
    file.chmod(0o444)
    folder.chmod(0o777)
    user = become_somebody_else(of_root)
    said = refusal("create-user", "--email", "ann@example.com", DATA_DIR=folder)
    assert said.startswith(f"the database {file} is read-only for user {user}. Run: sudo chown {user} {file}*")


def test_a_read_only_disk_is_named_without_a_command_that_cannot_help(
    refusal: Refusal, of_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"cannot write to the data folder {of_root} as user {become_somebody_else(of_root)}: its disk is read-only."
    monkeypatch.setattr(os, "statvfs", lambda _folder: Namespace(f_flag=os.ST_RDONLY))
    refused = refusal("create-user", "--email", "ann@example.com", DATABASE_URL=f"sqlite:///{of_root}/selfmemory.db")
    assert refused == f"{said} Set SELFMEMORY_DATA_DIR to another folder"


def test_a_full_disk_is_named_without_a_folder_that_would_be_empty(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "max_page_count=9"))  # as on a full disk
    said = refusal("create-user", "--email", "ann@example.com")
    file = tmp_path / "data" / "selfmemory.db"
    assert said == f"there is no space left for the database {file}: free some space, or use a larger disk"


def test_a_file_that_is_no_database_is_named(refusal: Refusal, stored: Path) -> None:
    stored.write_bytes(b"These are my notes. " * 100)
    said = refusal("create-user", "--email", "ann@example.com")
    assert said.startswith(f"{stored} is damaged or not a SQLite database: ")


COMMANDS = [("create-user", "--email", "ann@example.com"), ("backup", "-"), ("reindex",)]


@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), *COMMANDS])
def test_a_database_that_was_emptied_is_named_and_not_filled(
    refusal: Refusal, stored: Path, arguments: tuple[str, ...]
) -> None:
    stored.write_bytes(b"")
    (stored.parent / "secret_key").write_text("a key of this server")
    said = started_app(stored.parent) if arguments[0] == "serve" else refusal(*arguments)
    assert said.startswith(f"the database {stored} is empty, but a server has already used it: ")
    assert stored.read_bytes() == b""


def test_the_log_of_a_missing_database_is_named_and_kept(refusal: Refusal, stored: Path) -> None:
    stored.unlink()
    log = stored.with_name(f"{stored.name}-wal")
    log.write_bytes(b"committed")
    assert f"move {log} away to start with an empty database" in started_app(stored.parent)
    assert log.read_bytes() == b"committed"


def test_a_first_start_that_was_killed_is_repeated(refusal: Refusal, stored: Path) -> None:
    stored.write_bytes(b"")
    assert main(("create-user", "--email", "ann@example.com")) == 0


def test_a_server_that_cannot_open_its_database_prints_one_line(stored: Path) -> None:
    stored.write_bytes(b"These are my notes. " * 100)
    given = environment(stored.parents[1])
    command = [sys.executable, "-m", "server", "--port", "0"]
    ended = subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1), ended.stderr
    assert f"{stored} is damaged or not a SQLite database: " in ended.stderr


def test_the_database_of_a_newer_version_is_refused(refusal: Refusal, stored: Path) -> None:
    with sqlite3.connect(stored) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    said = refusal("create-user", "--email", "ann@example.com")
    assert said.startswith("a newer version of the server wrote this database (schema 9999")


@pytest.mark.needs("postgres")
def test_a_postgres_that_only_allows_reading_is_refused(refusal: Refusal, postgres: Databases) -> None:
    url = postgres.make()
    said = refusal(
        "create-user",
        "--email",
        "ann@example.com",
        DATABASE_URL=f"{url}{'&' if '?' in url else '?'}options=-c%20default_transaction_read_only%3Don",
    )
    assert said.startswith("the database is read-only: SELFMEMORY_DATABASE_URL must lead to a primary server")


@pytest.mark.needs("postgres")
def test_a_postgres_database_that_does_not_exist_is_said(refusal: Refusal, postgres: Databases) -> None:
    url = postgres.make().rpartition("/")[0] + "/nowhere"
    assert "does not exist: create it" in refusal("create-user", "--email", "ann@example.com", DATABASE_URL=url)


@pytest.mark.parametrize(
    ("host", "url", "warning"),
    [
        ("127.0.0.1", "http://localhost:8081", None),
        ("::1", "http://localhost:8081", None),
        ("127.0.0.1", "https://memory.example.com", None),
        ("0.0.0.0", "https://memory.example.com", None),
        ("0.0.0.0", "http://localhost:8081", "forms and sign-in work only at http://localhost:8081"),
        ("::", "http://localhost:8081", "set SELFMEMORY_PUBLIC_URL to the address that they use"),
        ("192.168.1.10", "http://localhost:8081", "SELFMEMORY_HOST=192.168.1.10"),
        ("0.0.0.0", "http://192.168.1.10:8081", "everyone on the network of http://192.168.1.10:8081 can read"),
    ],
)
def test_one_warning_names_settings_that_do_not_fit(
    settings: Settings, host: str, url: str, warning: str | None
) -> None:
    warnings = list(start_warnings.warnings_for(settings.model_copy(update={"host": host, "public_url": url})))
    assert len(warnings) == (warning is not None)
    assert warning is None or warning in warnings[0]


def test_a_network_that_cannot_connect_is_warned_of(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"public_url": "http://nas.local:8081"})
    assert "set SELFMEMORY_HOST to 0.0.0.0" in list(start_warnings.warnings_for(unreachable))[-1]


@pytest.mark.parametrize(
    ("kind", "is_network"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("9p", True), ("ext4", False)]
)
def test_a_network_file_system_is_warned_of(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_network: bool
) -> None:
    mounts = tmp_path / "mounts"
    place = tmp_path.resolve()  # systemd mounts it when it is first used
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nsystemd-1 {place} autofs rw 0 0\nserver:/x {place} {kind} rw 0 0\n")
    monkeypatch.setattr(data_folder, "MOUNTS", mounts)
    warnings = list(start_warnings.warnings_for(settings))
    assert [f"network file system ({kind})" in warning for warning in warnings] == [True] * is_network
