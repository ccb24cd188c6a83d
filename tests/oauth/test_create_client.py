"""`create-client` prints a client that works."""

import pytest

from server.__main__ import main
from server.settings import Settings
from server.storage.database import Database
from tests.support.flows import CALLBACK, App, Person, error_of


@pytest.fixture
def _here(settings: Settings, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> None:
    """Give the command the settings of the test."""
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(settings.data_dir))


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("more", [[], ["--confidential"]])
async def test_a_configured_client_connects(
    notes: App, ann: Person, database: Database, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """While the server runs. The first line of the output is the id, the second the secret."""
    assert main(["create-client", "--name", "Desk (SelfMemory)", "--redirect-uri", CALLBACK, *more]) == 0
    client_id, *secret = capsys.readouterr().out.split("\n")[:-1]
    assert len(secret) == len(more)
    desk = App(notes.http, client_id, *secret)
    page = await ann.open(desk.request())
    assert "An application that your administrator set up" in page.text
    assert "Connect “Desk (SelfMemory)”?" in page.text
    assert await desk.works((await desk.connect(ann)).access)
    for given in secret:  # a configured client may send its secret in either way
        desk.secret = None
        code = await ann.allow(desk.request())
        assert (await desk.redeem(code, client_secret=given)).status_code == 200
        assert error_of(await desk.redeem(code), 401) == "invalid_client"


@pytest.mark.usefixtures("_here")
def test_the_redirect_uri_is_validated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create-client", "--name", "Desk", "--redirect-uri", "javascript:alert(1)"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "redirect-uri" in told.err
