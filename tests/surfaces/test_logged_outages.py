"""Each door logs in one line why it cannot answer now, so that an operator sees an outage on pages too."""

from pathlib import Path

import httpx
import pytest

from server.app import create_app
from server.settings import read_settings
from tests.conftest import ORIGIN
from tests.support.fakes import WordEmbedder
from tests.support.started import running

SIGN_IN = {"email": "ann@example.com", "password": "a long password"}


async def test_every_door_logs_an_outage_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "data"
    here = read_settings(env_file=None, data_dir=folder, public_url=ORIGIN)
    async with (
        running(create_app(here, lambda _settings: WordEmbedder())) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client,
    ):
        away = folder.rename(tmp_path / "away")
        for method, path, sent in (
            ("POST", "/oauth/register", {"json": {"redirect_uris": ["http://127.0.0.1/callback"]}}),
            ("GET", "/oauth/authorize?client_id=client_1", {}),
            ("GET", "/dashboard", {}),
            ("POST", "/sign-in", {"data": SIGN_IN}),
            ("POST", "/sign-in/verify", {"data": {"code": "123456"}}),
            ("GET", "/api/invitations/sm_in_1", {}),
        ):
            caplog.clear()
            answer = await client.request(method, path, **sent)
            logged = [record for record in caplog.records if record.getMessage() == "unavailable"]
            assert (answer.status_code, len(logged)) == (503, 1), path
        away.rename(folder)
