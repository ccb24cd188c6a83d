"""The gate of /mcp: credentials, scopes, methods and sizes."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import sqlalchemy as sa

from server.domain.people import sessions
from server.domain.people.sessions import BrowserInfo
from server.models import ApiKey, User
from server.storage.database import Database
from server.waits import WAIT_SECONDS
from tests.conftest import ORIGIN, Tenant
from tests.support.tables import rows
from tests.tools.conftest import ACCEPT, LEGACY, MODERN, Mcp, envelope

METADATA = f'resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp"'
EVERYDAY = 'scope="memories:read memories:write"'
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
WRITES = [
    ("add_memory", {"content": "x"}),
    ("update_memory", {"id": "mem_1", "content": "x"}),
    ("delete_memory", {"id": "mem_1"}),
    ("add", {"content": "x"}),
    ("update", {"id": "mem_1", "content": "x"}),
    ("delete", {"id": "mem_1"}),
]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT"])
async def test_without_a_credential_the_answer_is_a_challenge(
    client: httpx.AsyncClient, path: str, method: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f"Bearer {METADATA}, {EVERYDAY}"
    assert method == "HEAD" or isinstance(answer.json()["detail"], str)


async def test_a_challenge_names_the_error_only_when_a_credential_was_sent(
    client: httpx.AsyncClient, alice: Tenant
) -> None:
    changed = alice.key[:-1] + ("a" if alice.key[-1] != "a" else "b")
    wrong = [
        "Bearer Bearer",
        "Basic YTpi",
        "Bearer x y",
        f"{alice.key} x",
        f"Bearer {changed}",
        f"Token {alice.key}",
    ]
    bodies = set()
    for value in wrong:
        answer = await client.post("/mcp", json=PING, headers={"Authorization": value})
        assert answer.status_code == 401, value
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", ')
        assert METADATA in answer.headers["www-authenticate"]
        bodies.add(answer.text)
    assert bodies == {(await client.post("/mcp", json=PING)).text}


async def test_two_authorization_headers_are_refused(client: httpx.AsyncClient, alice: Tenant) -> None:
    twice = [("Authorization", f"Bearer {alice.key}"), ("Authorization", f"Bearer {alice.read_key}")]
    assert (await client.post("/mcp", json=PING, headers=twice)).status_code == 401


async def test_only_the_header_carries_a_token(client: httpx.AsyncClient, alice: Tenant, database: Database) -> None:
    with database.write() as session:
        value = sessions.begin(session, session.get_one(User, alice.user_id), BrowserInfo(days=1))
    for answer in (
        await client.post(f"/mcp?access_token={alice.key}&token={alice.key}", json=PING),
        await client.post("/mcp", data={"access_token": alice.key}),
        await client.post("/mcp", json=PING, headers={"Cookie": f"ory_kratos_session={value}"}),
        await client.post("/mcp", json=PING, headers={"Cookie": f"ory_kratos_session={alice.key}"}),
        await client.post("/mcp", json=PING, headers={"Authorization": f"Session {value}"}),
        await client.post("/mcp", json=PING, headers={"Authorization": f"Bearer {value}"}),
        await client.post("/mcp", json=PING, headers={"Mcp-Session-Id": "1234"}),
    ):
        assert answer.status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_in_any_case(client: httpx.AsyncClient, alice: Tenant, scheme: str) -> None:
    headers = {**ACCEPT, "Authorization": f"{scheme} {alice.key}"}
    assert (await client.post("/mcp", json=PING, headers=headers)).json() == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_a_deleted_key_is_refused_on_the_next_request(mcp: Mcp, database: Database) -> None:
    await mcp.call("list_memories")
    with database.write() as session:
        session.execute(sa.delete(ApiKey))
    assert (await mcp.send("tools/list", {})).status_code == 401


@rows("path", ["/mcp", "/mcp/"])
@rows("method", ["GET", "HEAD", "DELETE", "PUT", "PATCH"])
async def test_only_post_is_allowed(client: httpx.AsyncClient, alice: Tenant, path: str, method: str) -> None:
    answer = await client.request(method, path, headers={**alice.auth, "Accept": "text/event-stream"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert method == "HEAD" or answer.json() == {"detail": "This method is not allowed here. Use one of POST, OPTIONS."}


@rows("method, path", [("POST", "/"), ("POST", "/sse"), ("GET", "/sse"), ("POST", "/mcp/mcp"), ("POST", "//mcp")])
async def test_another_address_names_the_one_for_mcp_clients(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Also without /mcp, as people paste it, and with what clients add."""
    url = client.base_url.copy_with(raw_path=path.encode())
    answer = await client.request(method, url, headers={"Accept": "application/json, text/event-stream"})
    assert answer.status_code == (405 if path == "/" else 404)
    assert answer.json()["detail"].endswith(" MCP clients connect to http://localhost:8081/mcp.")


@rows(("tool", "arguments"), WRITES)
async def test_a_read_only_credential_is_challenged_for_the_write_scope(
    mcp: Mcp, reader: Mcp, tool: str, arguments: dict[str, str]
) -> None:
    answer = await reader.send("tools/call", {"name": tool, "arguments": arguments})
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope", ')
    assert METADATA in challenge
    assert EVERYDAY in challenge
    assert "memories:write" in answer.json()["detail"]
    assert (await mcp.call("list_memories"))["total"] == 0


async def test_a_read_only_credential_may_read(mcp: Mcp, reader: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    assert await reader.found("tea") == ["Tea at five."]
    assert (await reader.call("fetch", id=memory_id))["id"] == memory_id
    assert (await reader.call("list_memories"))["total"] == 1
    offered = [tool["name"] for tool in (await reader.result("tools/list"))["tools"]]
    assert offered == ["search", "fetch", "list_memories", "context"]
    unknown = await reader.send("tools/call", {"name": "destroy", "arguments": {}})
    assert unknown.json()["error"]["code"] == -32602


async def test_the_body_says_which_tool_is_called(client: httpx.AsyncClient, mcp: Mcp, alice: Tenant) -> None:
    """A header with another tool, a batch or a repeated name does not bypass the scope."""
    params = {"name": "add_memory", "arguments": {"content": "x"}, "_meta": envelope()}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    twice = json.dumps(call).replace('"name": "add_memory"', '"name": "search", "name": "add_memory"', 1)
    modern = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "search"}
    for body in (json.dumps(call), json.dumps([PING, call]), twice):
        for headers in (modern, {"MCP-Protocol-Version": LEGACY}, {}):
            given = {**ACCEPT, **alice.read_auth, **headers, "Content-Type": "application/json"}
            assert (await client.post("/mcp", content=body, headers=given)).status_code == 403
    assert (await mcp.call("list_memories"))["total"] == 0


async def test_a_body_that_only_the_sdk_can_parse_is_refused(mcp: Mcp, reader: Mcp) -> None:
    """What one parser takes and another does not could hide a tool from the check of scopes."""
    memory_id = await mcp.add("Tea at five.")
    params = {"name": "delete_memory", "arguments": {"id": memory_id}, "more": "DEEP"}
    for caller in (reader, mcp):
        answer = await caller.send("tools/call", params, ('"DEEP"', "[" * 300 + "]" * 300))
        assert answer.json()["error"] == {"code": -32700, "message": "params.more: is nested too deeply."}
    assert await mcp.found("tea") == ["Tea at five."]


async def test_a_body_that_is_too_large_is_refused_with_or_without_content_length(
    client: httpx.AsyncClient, alice: Tenant
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1_000_000

    headers = {**alice.auth, "Content-Type": "application/json"}
    announced = await client.post("/mcp", content=b" " * 4_000_001, headers=headers)
    streamed = await client.post("/mcp", content=chunks(), headers=headers)
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()) == (413, {"detail": "The body is larger than 4000 KB."})
    assert (await client.post("/mcp", content=b" " * 4_000_001)).status_code == 401


async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient, alice: Tenant) -> None:
    for media in ("text/plain", "application/x-www-form-urlencoded", "", "text/plain;a=,application/json"):
        answer = await client.post("/mcp", content=json.dumps(PING), headers={**alice.auth, "Content-Type": media})
        assert (answer.status_code, answer.json()["detail"]) == (415, "Send the body as application/json.")


@pytest.mark.parametrize(
    "media",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        "APPLICATION/JSON;charset=UTF-8",
        "application/json, application/json; charset=utf-8",
    ],
)
async def test_a_media_type_is_read_in_any_case(client: httpx.AsyncClient, alice: Tenant, media: str) -> None:
    for revision in (LEGACY, MODERN):
        headers = {**alice.auth, "Content-Type": media, "MCP-Protocol-Version": revision, "Mcp-Method": "tools/list"}
        body = {**PING, "method": "tools/list", "params": {"_meta": envelope()}}
        answer = await client.post("/mcp", content=json.dumps(body), headers=headers)
        assert "tools" in answer.json()["result"]


async def test_reading_works_while_nothing_can_be_written(reader: Mcp, database: Database) -> None:
    with database.write() as session:  # SQLite reports the same kind of error for a full disk
        session.execute(
            sa.text("CREATE TRIGGER full BEFORE UPDATE ON api_keys BEGIN INSERT INTO nowhere VALUES (1); END")
        )
    assert await reader.found("anything") == []


async def test_reading_works_while_another_program_writes(reader: Mcp, database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("SELECT 1"))
        async with asyncio.timeout(WAIT_SECONDS - 5):
            assert await reader.found("anything") == []
