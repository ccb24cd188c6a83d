"""Problems of operators: accounts without a password or email, and folders that cannot be used."""

import resource
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from server.__main__ import main
from server.app import create_app
from server.machine.file_locks import try_lock
from server.settings import Settings
from server.storage.database import Database
from tests.support.browsers import fresh, sign_in, sign_up
from tests.support.commands import Run
from tests.support.fakes import WordEmbedder
from tests.support.started import running

NEW = "another good one"


@pytest.fixture
def commands(settings: Settings, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> None:
    """Commands beside the running server."""
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", settings.public_url)


async def test_an_account_of_create_key_gets_a_password_by_a_printed_link(
    client: httpx.AsyncClient, commands: None, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["create-key", "--email", "ann@example.com"]) == 0
    assert "-m server reset-password --email ann@example.com\n" in capsys.readouterr().err
    assert main(["reset-password", "--email", "Ann@Example.com"]) == 0
    link = capsys.readouterr().out.removesuffix("\n")
    path = link.removeprefix(settings.public_url)
    assert (await client.post(path, data={"password": NEW})).status_code == 303
    assert (await sign_in(fresh(client), "ann@example.com", password=NEW)).status_code == 303
    assert (await client.post(path, data={"password": NEW})).status_code == 410


def test_no_link_is_printed_for_nobody(commands: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reset-password", "--email", "ann@example.com"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "selfmemory: There is no account with this email address.\n"


async def test_an_operator_changes_the_address_of_an_account(
    client: httpx.AsyncClient, commands: None, capsys: pytest.CaptureFixture[str]
) -> None:
    await sign_up(client)
    user_id = (await client.get("/api/users/me")).json()["id"]
    assert main(["reset-password", "--email", "ann@example.com"]) == 0
    reset = capsys.readouterr().out.strip().rpartition("/")[2]
    assert main(["change-email", "--email", "Ann@Example.com", "--to", "Ann@New.example"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{user_id}\n"
    assert printed.err == "The account now has the address ann@new.example. It is signed out everywhere.\n"
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await client.get(f"/reset-password/{reset}")).status_code == 410
    assert (await sign_in(fresh(client))).status_code == 401
    assert (await sign_in(client, "ann@new.example")).status_code == 303
    me = (await client.get("/api/users/me")).json()
    assert (me["id"], me["email"], me["email_verified"]) == (user_id, "ann@new.example", True)


async def test_an_operator_gives_another_address_to_an_account_that_only_a_migration_left_in_ascii(
    client: httpx.AsyncClient, commands: None, database: Database
) -> None:
    """Nobody can sign in with it: both forms are one address, which another account has."""
    await sign_up(client, "ann@new.example")
    await sign_up(fresh(client), "ann@münchen.de")
    with database.write() as session:
        session.execute(sa.text("UPDATE users SET email = 'ann@xn--mnchen-3ya.de' WHERE email = 'ann@new.example'"))
    assert main(["change-email", "--email", "Ann@xn--mnchen-3ya.de", "--to", "ann@old.example"]) == 0
    assert (await sign_in(fresh(client), "ann@old.example")).status_code == 303
    assert (await sign_in(fresh(client), "ann@xn--mnchen-3ya.de")).status_code == 303


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("eve@example.com", "new@example.com", "There is no account with this email address."),
        ("ann@example.com", "new", "email: this is not an email address such as name@example.com."),
        ("ann@example.com", "ben@example.com", "An account with this email address already exists."),
        ("ann@example.com", "ANN@example.com", "email: this is already the address of the account."),
    ],
)
async def test_an_address_that_cannot_be_given_changes_nothing(
    client: httpx.AsyncClient, commands: None, capsys: pytest.CaptureFixture[str], old: str, new: str, why: str
) -> None:
    await sign_up(fresh(client), "ben@example.com")
    await sign_up(client)
    assert main(["change-email", "--email", old, "--to", new]) == 1
    assert capsys.readouterr() == ("", f"selfmemory: {why}\n")
    assert (await client.get("/api/users/me")).json()["email"] == "ann@example.com"


async def test_a_page_without_mail_names_the_command_that_changes_the_address(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    page = await client.get("/dashboard/account")
    assert 'action="/dashboard/account/email"' not in page.text
    assert "python -m server change-email --email" in page.text
    answer = await client.post("/dashboard/account/email", data={"email": "new@example.com"})
    assert (answer.status_code, "ask its administrator to change the address" in answer.text) == (409, True)


async def test_a_server_without_mail_promises_no_letter(client: httpx.AsyncClient) -> None:
    asked = await client.post("/forgot-password", data={"email": "ann@example.com"})
    assert "on its way" not in asked.text
    assert "python -m server reset-password" in asked.text


def test_a_data_directory_that_cannot_be_made_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_logging: None
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path / "file"))
    assert main(["create-user", "--email", "ann@example.com"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "SELFMEMORY_DATA_DIR" in printed.err


async def test_the_limit_of_open_files_is_raised_at_the_start(settings: Settings) -> None:
    """1,000 clients would need more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        async with running(create_app(settings, lambda _settings: WordEmbedder())):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(hard, 65_536) > 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_log_of_a_start_names_the_data_folder(
    settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(settings.data_dir)
    with caplog.at_level("INFO"):
        async with running(
            create_app(settings.model_copy(update={"data_dir": Path()}), lambda _settings: WordEmbedder())
        ):
            pass
    (ready,) = [record for record in caplog.records if record.getMessage() == "ready"]
    assert vars(ready)["data_dir"] == str(settings.data_dir)


@pytest.mark.sqlite_only
def test_a_refused_restore_leaves_the_name_of_the_owner_of_the_index(data_dir: Path, tmp_path: Path, run: Run) -> None:
    """When that process is dead, the next owner ends its leases by this name."""
    run("create-user", "--email", "ann@example.com")
    run("backup", str(tmp_path / "backup"))
    file = data_dir / "index.lock"
    file.write_text("host:1:abcd")
    with file.open("r+") as held:
        assert try_lock(held)
        assert "uses the data folder" in run("restore", str(tmp_path / "backup")).err
    assert file.read_text() == "host:1:abcd"
