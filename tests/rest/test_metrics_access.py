"""The metrics are for this machine, and for who has the token."""

import httpx
import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp

from server.app import create_app
from server.settings import Settings
from tests.conftest import ORIGIN
from tests.support.fakes import WordEmbedder
from tests.support.started import running


def asking(app: ASGIApp, peer: str, base_url: str = ORIGIN) -> httpx.AsyncClient:
    """Return a caller with this address."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(peer, 1)), base_url=base_url)


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("peer", "base_url", "headers"),
    [
        ("203.0.113.9", ORIGIN, {}),
        ("127.0.0.1", ORIGIN, {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", ORIGIN, {"X-Real-IP": "203.0.113.9"}),
        ("127.0.0.1", "http://memory.example.com", {}),
        ("203.0.113.9", ORIGIN, {"Authorization": "Bearer "}),
    ],
    ids=["another machine", "a proxy here", "another proxy here", "a public name", "an empty token"],
)
async def test_r26_metrics_are_not_for_others(app: ASGIApp, peer: str, base_url: str, headers: dict[str, str]) -> None:
    async with asking(app, peer, base_url) as client:
        answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 403
    assert "metrics token" in answer.json()["detail"]


@pytest.mark.sqlite_only
async def test_metrics_are_for_this_machine_under_its_ipv6_name_too(app: ASGIApp) -> None:
    async with asking(app, "::ffff:127.0.0.1") as client:
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.sqlite_only
async def test_the_metrics_token_works_from_anywhere(settings: Settings) -> None:
    told = settings.model_copy(update={"metrics_token": SecretStr("for-prometheus")})
    async with (
        running(create_app(told, lambda _settings: WordEmbedder())) as app,
        asking(app, "203.0.113.9", "http://memory.example.com") as client,
    ):
        sent = ("Bearer for-prometheus", "bearer  for-prometheus", "Bearer for-prometheu", "Basic for-prometheus")
        answers = [await client.get("/metrics", headers={"Authorization": value}) for value in sent]
    assert [answer.status_code for answer in answers] == [200, 200, 403, 403]
    assert answers[0].headers["content-type"].startswith("text/plain")
