"""CORS: which answers pages of other origins may read."""

import httpx
import pytest
import sqlalchemy as sa

from server.settings import Settings
from server.storage.database import Database
from tests.conftest import ORIGIN, Tenant
from tests.support.tables import rows
from tests.tools.conftest import ACCEPT

LISTED = "https://inspector.example"
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
}
ALLOWED = {"authorization", "x-api-key", "content-type", "last-event-id"}
ALLOWED |= {"mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"}
EXPOSED = {"www-authenticate", "mcp-session-id", "mcp-protocol-version"}
PUBLIC = [
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/oauth/token",
    "/oauth/register",
    "/oauth/revoke",
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allowed_origins": (LISTED,)})


def names(value: str) -> set[str]:
    return {name.strip().lower() for name in value.split(",")}


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("origin", [ORIGIN, LISTED])
async def test_a_preflight_needs_no_credential(client: httpx.AsyncClient, path: str, origin: str) -> None:
    answer = await client.options(path, headers={"Origin": origin, **ASKED})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"
    assert names(answer.headers["access-control-allow-headers"]) >= ALLOWED
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/mcp", "/oauth/token", "/.well-known/oauth-protected-resource"])
async def test_a_preflight_allows_the_headers_that_a_program_adds(client: httpx.AsyncClient, path: str) -> None:
    added = "authorization,x-custom-auth-headers,baggage"  # the Inspector's and Sentry's
    for requested, allowed in ((added, names(added)), ("x-a; b", set()), ("x" * 5000, set())):
        headers = {**ASKED, "Origin": LISTED, "Access-Control-Request-Headers": requested}
        answer = await client.options(path, headers=headers)
        assert names(answer.headers["access-control-allow-headers"]) == ALLOWED | allowed


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
async def test_a_preflight_of_another_origin_gets_no_permission(client: httpx.AsyncClient, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = await client.options("/mcp", headers={**headers, **ASKED})
    assert answer.status_code == 204
    assert "access-control-allow-origin" not in answer.headers


@rows("path", PUBLIC)
async def test_any_page_may_read_what_oauth_clients_need(client: httpx.AsyncClient, path: str) -> None:
    preflight = await client.options(path, headers={"Origin": "https://any.example", **ASKED})
    answer = await client.get(path, headers={"Origin": "https://any.example"})
    assert preflight.status_code == 204
    assert names(preflight.headers["access-control-allow-headers"]) >= ALLOWED
    for one in (preflight, answer):
        assert one.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in one.headers


@rows("path", ["/api/memories", "/oauth/authorize", "/sign-in", "/dashboard", "/", "/mcp/other"])
async def test_everywhere_else_there_is_no_cors(client: httpx.AsyncClient, alice: Tenant, path: str) -> None:
    for origin in (ORIGIN, LISTED):
        for method in ("OPTIONS", "GET"):
            answer = await client.request(method, path, headers={"Origin": origin, **alice.auth, **ASKED})
            assert not any(name.startswith("access-control-") for name in answer.headers)


async def test_errors_can_be_read_too(client: httpx.AsyncClient, alice: Tenant, database: Database) -> None:
    headers = {**ACCEPT, "Origin": LISTED, "Content-Type": "application/json"}
    answers = {
        401: await client.post("/mcp", json={}, headers=headers),
        405: await client.get("/mcp", headers={**headers, **alice.auth}),
        400: await client.post("/mcp", content=b"{", headers={**headers, **alice.auth}),
        413: await client.post("/mcp", content=b" " * 4_000_001, headers={**headers, **alice.auth}),
        421: await client.post("/mcp", json={}, headers={**headers, **alice.auth, "Host": "evil.example"}),
    }
    with database.write() as session:
        session.execute(sa.text("""UPDATE api_keys SET permissions = '{"broken'"""))
    answers[500] = await client.post("/mcp", json={}, headers={**headers, **alice.auth})
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == LISTED
        assert names(answer.headers["access-control-expose-headers"]) >= EXPOSED
