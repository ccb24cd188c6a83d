"""A short flood of every anonymous endpoint: no table grows, except the bounded ones in a list."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx
import pytest
from starlette.routing import Route

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from tests.support.flows import CALLBACK, PLAIN
from tests.support.rows import row_counts

REQUESTS = 25
ADDRESS = "somebody@example.com"
FORM = "application/x-www-form-urlencoded"
AUTHORIZE = {
    "response_type": "code", "client_id": "https://client.example/c", "redirect_uri": CALLBACK, "state": "x" * 2000,
    "code_challenge": "c" * 43, "code_challenge_method": "S256",
}  # fmt: skip

Door = tuple[str, str, Mapping[str, str] | None]
DOORS: list[Door] = [
    ("GET", "/oauth/authorize", AUTHORIZE),
    ("POST", "/oauth/authorize", AUTHORIZE),
    ("POST", "/oauth/token", {"grant_type": "refresh_token", "refresh_token": "sm_rt_x", "client_id": "client_{n}"}),
    ("POST", "/oauth/token", {"grant_type": "authorization_code", "code": "x", "client_id": "client_{n}"}),
    ("POST", "/oauth/revoke", {"token": "x", "client_id": "client_{n}"}),
    ("POST", "/oauth/introspect", {"token": "x", "client_id": "client_{n}"}),
    ("POST", "/oauth/consent/request_x", {"decision": "allow", "project_id": "proj_x"}),
    ("GET", "/sign-in", {"next": "/oauth/authorize?state=" + "x" * 2000}),
    ("POST", "/sign-up", {"email": "{n}@example.com", "name": "N", "password": "a fine long password"}),
    ("POST", "/forgot-password", {"email": ADDRESS}),
    ("GET", "/reset-password/sm_ml_{n}", {}),
    ("POST", "/reset-password/sm_ml_{n}", {"password": "a fine long password"}),
    ("GET", "/verify-email/sm_ml_{n}", {}),
    ("POST", "/verify-email/sm_ml_{n}", {}),
    ("GET", "/accept-invitation/sm_in_{n}", {}),
    ("POST", "/accept-invitation/sm_in_{n}", {}),
    ("GET", "/api/invitations/sm_in_{n}", {}),
    ("POST", "/sign-out", {}),
    ("GET", "/health", {}),
    ("GET", "/docs", {}),
    ("GET", "/openapi.json", {}),
    ("GET", "/.well-known/oauth-authorization-server", {}),
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limit_enabled": True, "sign_up": "closed"})


async def knock(client: httpx.AsyncClient, door: Door, number: int) -> httpx.Response:
    method, path, fields = door
    filled = urlencode({name: value.replace("{n}", str(number)) for name, value in (fields or {}).items()})
    path = path.replace("{n}", str(number))
    if method == "GET":
        return await client.get(f"{path}?{filled}")
    return await client.request(method, path, content=filled, headers={"Content-Type": FORM})


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
async def test_a_stranger_leaves_nothing_behind(client: httpx.AsyncClient, database: Database, door: Door) -> None:
    before = row_counts(database)
    statuses = {(await knock(client, door, number)).status_code for number in range(REQUESTS)}
    assert all(status < 500 for status in statuses), statuses
    assert row_counts(database) == before


async def test_a_stranger_leaves_nothing_behind_at_any_address(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    """Whatever door is added: the routes are those of the app."""
    routes = {route.path for route in create_app(settings).routes if isinstance(route, Route)}
    before = row_counts(database)
    for path in sorted(re.sub(r"{\w+(:\w+)?}", "x", path) for path in routes):
        for method in ("GET", "POST", "PUT", "DELETE"):
            response = await client.request(method, path, content="a=b", headers={"Content-Type": FORM})
            assert response.status_code < 500, (method, path)
            await client.request(method, path, json={"content": "x", "name": "x"})
    after = row_counts(database)
    assert {name for name in after if after[name] != before[name]} <= {"audit_events"}  # a failed sign-in


async def test_registrations_and_wrong_passwords_grow_within_their_limits(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    """Two tables may grow: clients and audit events. Housekeeping removes them again."""
    before = row_counts(database)
    for number in range(REQUESTS):
        await client.post("/oauth/register", json=PLAIN)
        await client.post("/sign-in", data={"email": ADDRESS, "password": f"wrong {number}"})
    after = row_counts(database)
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert set(grown) <= {"oauth_clients", "audit_events"}
    assert grown["oauth_clients"] == 1
    assert grown["audit_events"] <= 1 + int(settings.rate_limit_sign_in.partition("/")[0])
