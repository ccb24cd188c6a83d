"""Requirements 93-101: what a token gives access to, and what is refused as a token. More about /mcp: tests/tools."""

import base64
import json

import httpx
import pytest
from sqlmodel import select

from server.models import AccessToken
from server.models.base import now
from server.storage.database import Database
from tests.support.flows import ORIGIN, App, Person, bearer

METADATA = f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"'
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HELLO = {"name": "add_memory", "arguments": {"content": "hello"}}
ADD = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": HELLO}
JSON_RPC = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
DOORS = ("/mcp", "/api/memories/search")


async def post(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> httpx.Response:
    return await client.post(path, json=LIST if path == "/mcp" else {"query": "x"}, headers=JSON_RPC | headers)


def unsigned(claims: dict[str, object], **header: object) -> str:
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", **header}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


@pytest.mark.parametrize("path", DOORS)
async def test_093_a_challenge_names_the_scopes_and_the_metadata(client: httpx.AsyncClient, path: str) -> None:
    without = await post(client, path, {})
    assert without.status_code == 401
    assert METADATA in without.headers["www-authenticate"]
    assert "error=" not in without.headers["www-authenticate"]
    invalid = await post(client, path, bearer("sm_at_x"))
    assert invalid.status_code == 401
    assert 'error="invalid_token"' in invalid.headers["www-authenticate"]
    assert METADATA in invalid.headers["www-authenticate"]


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic eDp5", "Token x", "", "Bearer a b"])
async def test_093_a_malformed_header_is_refused(client: httpx.AsyncClient, path: str, header: str) -> None:
    assert (await post(client, path, {"Authorization": header})).status_code in (400, 401)


async def test_093_097_a_read_only_token_is_challenged_for_the_write_scope(notes: App, ann: Person) -> None:
    token = (await notes.connect(ann, scope="memories:read")).access
    new = {"messages": [{"role": "user", "content": "hello"}]}
    for path, body in (("/mcp", ADD), ("/api/memories", new)):
        response = await notes.http.post(path, json=body, headers=JSON_RPC | bearer(token))
        assert response.status_code == 403, response.text
        challenge = response.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="memories:read memories:write"' in challenge
        assert METADATA in challenge


async def test_097_writing_implies_reading(notes: App, ann: Person) -> None:
    token = (await notes.connect(ann, scope="memories:write")).access
    for body in (LIST, ADD):
        response = await notes.http.post("/mcp", json=body, headers=JSON_RPC | bearer(token))
        assert response.status_code == 200, response.text
    assert await notes.works(token)


@pytest.mark.parametrize("path", DOORS)
async def test_094_a_token_is_accepted_only_in_the_header(notes: App, ann: Person, path: str) -> None:
    token = (await notes.connect(ann)).access
    for response in (
        await notes.http.post(path, json=LIST, params={"access_token": token}, headers=JSON_RPC),
        await notes.http.post(path, data={"access_token": token}, headers={"Accept": JSON_RPC["Accept"]}),
        await notes.http.post(path, json=LIST, headers=JSON_RPC | {"Cookie": f"access_token={token}"}),
        await notes.http.post(path, json=LIST, headers=JSON_RPC | {"Cookie": f"ory_kratos_session={token}"}),
    ):
        assert response.status_code == 401


@pytest.mark.parametrize("path", DOORS)
async def test_095_anything_but_our_access_token_is_refused(
    notes: App, ann: Person, database: Database, path: str
) -> None:
    tokens = await notes.connect(ann)
    claims = {"sub": ann.user_id, "iss": ORIGIN, "aud": f"{ORIGIN}/mcp", "scope": "memories:read", "exp": 9999999999}
    others = [
        tokens.refresh, await ann.allow(notes.request()), ann.browser.cookies["ory_kratos_session"],
        tokens.access[:-1] + ("a" if tokens.access[-1] != "a" else "b"), tokens.access.upper(), tokens.access[:-1],
        tokens.access + "a", unsigned(claims, alg="none"), unsigned(claims, alg="HS256", jwk={"kty": "oct", "k": "eA"}),
        unsigned(claims, alg="RS256", jku="https://evil.example/jwks.json"), notes.client_id, "", "x" * 10_000,
    ]  # fmt: skip
    for other in others:
        assert (await post(notes.http, path, bearer(other))).status_code == 401, other
    assert (await post(notes.http, path, bearer(tokens.access))).status_code == 200
    with database.write() as session:
        for row in session.exec(select(AccessToken)):
            row.expires_at = now()
    assert (await post(notes.http, path, bearer(tokens.access))).status_code == 401


async def test_096_a_token_reaches_only_its_project(notes: App, ann: Person) -> None:
    await ann.sign_in()
    made = await ann.browser.post("/api/projects", json={"name": "Other", "organization_id": ann.organization_id})
    other = made.json()["project_id"]
    new = {"messages": [{"role": "user", "content": "the secret garden"}], "project_id": other}
    memory = (await ann.browser.post("/api/memories", json=new)).json()["memory_id"]
    headers = bearer((await notes.connect(ann, ann.project_id)).access)
    unknown = await notes.http.get("/api/memories/mem_x", headers=headers)
    assert unknown.status_code == 404
    for method, path, body in (
        ("GET", f"/api/memories/{memory}", None),
        ("DELETE", f"/api/memories/{memory}", None),
        ("PUT", f"/api/memories/{memory}", {"text": "mine"}),
        ("GET", f"/api/projects/{other}", None),
        ("GET", f"/api/memories?project_id={other}", None),
        ("POST", "/api/memories/search", {"query": "garden", "project_id": other}),
        ("POST", "/api/memories", new),
    ):
        assert (await notes.http.request(method, path, json=body, headers=headers)).status_code == 404, path
    assert unknown.json() == (await notes.http.get(f"/api/memories/{memory}", headers=headers)).json()
    found = await notes.http.post("/api/memories/search", json={"query": "secret garden"}, headers=headers)
    assert found.json()["results"] == []
    listed = (await notes.http.get("/api/projects", headers=headers)).json()["projects"]
    assert [project["id"] for project in listed] == [ann.project_id]


async def test_098_pages_of_other_origins_may_not_call_the_resource(notes: App, ann: Person) -> None:
    token = (await notes.connect(ann)).access
    statuses = {}
    for origin in ("https://evil.example", "null", ORIGIN):
        response = await notes.http.post("/mcp", json=LIST, headers=JSON_RPC | bearer(token) | {"Origin": origin})
        statuses[origin] = response.status_code
    assert statuses == {"https://evil.example": 403, "null": 403, ORIGIN: 200}
    forged = await notes.http.post("/mcp", json=LIST, headers=JSON_RPC | bearer(token) | {"Host": "evil.example"})
    assert forged.status_code in (400, 421)
    assert (await post(notes.http, "/mcp", bearer(token))).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "bEaReR"])
async def test_099_the_scheme_is_read_in_any_case(notes: App, ann: Person, scheme: str) -> None:
    token = (await notes.connect(ann)).access
    for path in DOORS:
        assert (await post(notes.http, path, {"Authorization": f"{scheme} {token}"})).status_code == 200


async def test_100_there_are_no_session_ids(notes: App, ann: Person) -> None:
    token = (await notes.connect(ann)).access
    response = await post(notes.http, "/mcp", bearer(token))
    assert "mcp-session-id" not in response.headers
    assert (await post(notes.http, "/mcp", {"Mcp-Session-Id": "0" * 32})).status_code == 401


async def test_an_api_key_or_token_cannot_do_what_only_a_person_may(notes: App, ann: Person) -> None:
    headers = bearer((await notes.connect(ann)).access)
    for method, path in (
        ("POST", f"/api/projects/{ann.project_id}/api-keys"),
        ("GET", "/api/organizations"),
        ("DELETE", "/api/users/me"),
        ("GET", f"/api/organizations/{ann.organization_id}/audit"),
    ):
        response = await notes.http.request(method, path, headers=headers, json={"name": "x"})
        assert response.status_code == 403, (path, response.text)
    assert (await notes.http.get("/api/users/me", headers=headers)).json()["id"] == ann.user_id
