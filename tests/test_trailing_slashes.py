"""A trailing slash makes no difference to a program, and nothing redirects. Only a deletion keeps its slash."""

import httpx

from tests.conftest import Tenant
from tests.support.tables import rows
from tests.tools.conftest import ACCEPT

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

PATHS = [
    ("GET", "/api/memories"),
    ("POST", "/api/memories"),
    ("GET", "/api/memories/stats"),
    ("GET", "/api/users/me"),
    ("PUT", "/api/notifications/read-all"),
    ("GET", "/api/invitations/unknown"),
    ("POST", "/v1/memories/tag-search"),
    ("GET", "/v1/health"),
    ("POST", "/mcp"),
    ("DELETE", "/mcp"),
    ("GET", "/oauth/authorize?client_id=unknown"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/register"),
    ("POST", "/oauth/revoke"),
    ("POST", "/oauth/introspect"),
    ("POST", "/oauth/consent/unknown"),
    ("GET", "/mcp/.well-known/oauth-protected-resource"),
    ("GET", "/mcp/.well-known/openid-configuration"),
    ("GET", "/.well-known/oauth-authorization-server/mcp"),
    ("OPTIONS", "/oauth/token"),
    ("GET", "/health/live"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
]


@rows(("method", "path"), PATHS)
async def test_a_trailing_slash_makes_no_difference(
    client: httpx.AsyncClient, alice: Tenant, method: str, path: str
) -> None:
    path, _, query = path.partition("?")
    headers = {**ACCEPT, **alice.auth, "Origin": "http://localhost:5173"}
    answers = []
    for variant in (path, f"{path}/"):
        answer = await client.request(method, f"{variant}?{query}", json=PING, headers=headers)
        cors = answer.headers.get("access-control-allow-origin")
        answers.append((answer.status_code, answer.headers.get("content-type"), cors))
    assert answers[0] == answers[1]
    assert answers[0][0] not in range(300, 400)


async def test_a_deletion_without_its_id_deletes_nothing(client: httpx.AsyncClient, alice: Tenant) -> None:
    await client.post("/api/memories", json={"content": "Tea at five."}, headers=alice.auth)
    assert (await client.delete("/api/memories/", headers=alice.auth)).status_code == 404
    assert (await client.get("/api/memories", headers=alice.auth)).json()["total"] == 1
