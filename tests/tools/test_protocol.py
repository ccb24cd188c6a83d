"""Messages and headers that real clients send: revisions, `Accept`, batches, sessions, methods."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Tenant
from tests.support.tables import rows
from tests.tools.conftest import LEGACY, MODERN, envelope

KNOWN = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY, MODERN]
HELLO = {"capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
LIST = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
BATCH = "This server takes one JSON-RPC message at a time"
CALL = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {"name": "list_memories", "arguments": {}, "_meta": envelope()},
}


class Caller:
    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    async def post(self, body: object, **headers: str) -> httpx.Response:
        """Post a body, with these headers alone; `_` in their names stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = self.client.build_request("POST", "/mcp", json=body, headers={**self.headers, **named})
        if "Accept" not in headers:
            del request.headers["Accept"]
        return await self.client.send(request)


@pytest.fixture
def caller(client: httpx.AsyncClient, alice: Tenant) -> Caller:
    return Caller(client, alice.auth)


def event_of(answer: httpx.Response) -> Any:
    """Return the message of the only event."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    kind, data, *rest = answer.text.split("\r\n")
    assert (kind, rest) == ("event: message", ["", ""])
    return json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize("revision", [LEGACY, MODERN, None])
async def test_any_accept_is_answered(caller: Caller, revision: str | None) -> None:
    headers = {"Mcp_Method": "tools/call", "Mcp_Name": "list_memories"}
    headers |= {"MCP_Protocol_Version": revision} if revision else {}
    for accept in (None, "", "*/*", "application/*", "application/json", "text/html", "text/*", "nonsense"):
        answer = await caller.post(CALL, **headers, **({} if accept is None else {"Accept": accept}))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), accept
        assert answer.json()["result"]["structuredContent"] == {"results": [], "total": 0}


async def test_an_unknown_method_is_reported_with_any_parameters(caller: Caller) -> None:
    methods = ("completion/complete", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list")
    for method in methods:
        for revision, status in ((LEGACY, 200), (MODERN, 404)):
            params = {"level": "loud"} | ({"_meta": envelope()} if revision == MODERN else {})
            body = {**LIST, "method": method, "params": params}
            answer = await caller.post(body, MCP_Protocol_Version=revision, Mcp_Method=method)
            error = {"code": -32601, "message": "Method not found", "data": method}
            assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_an_unknown_method_is_reported_with_any_accept_header(caller: Caller) -> None:
    body = {**LIST, "method": "subscriptions/listen", "params": {"_meta": envelope(), "notifications": {}}}
    for accept in ("application/json", "application/json, text/event-stream", "*/*", "text/html"):
        headers = {"MCP_Protocol_Version": MODERN, "Mcp_Method": "subscriptions/listen", "Accept": accept}
        answer = await caller.post(body, **headers)
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Method not found"), accept


@rows("accept", ["text/event-stream", "TEXT/Event-Stream; charset=utf-8", "text/event-stream, text/html"])
@rows("revision", [LEGACY, MODERN])
async def test_a_client_that_takes_only_events_gets_one(caller: Caller, accept: str, revision: str) -> None:
    headers = {"MCP_Protocol_Version": revision, "Mcp_Method": "tools/call", "Mcp_Name": "list_memories"}
    answer = await caller.post(CALL, Accept=accept, **headers)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert event_of(answer)["result"]["structuredContent"] == {"results": [], "total": 0}


async def test_a_client_may_name_what_it_takes_on_two_lines(caller: Caller) -> None:
    lines = [*caller.headers.items(), ("Accept", "text/event-stream"), ("Accept", "application/json")]
    answer = await caller.client.post("/mcp", json=CALL, headers=lines)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@rows("accept", ["application/json, text/event-stream", "text/event-stream", "*/*"])
@rows("revision", [LEGACY, MODERN])
async def test_a_notification_gets_neither_content_nor_a_type_of_it(caller: Caller, accept: str, revision: str) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    note = await caller.post(body, Accept=accept, MCP_Protocol_Version=revision, Mcp_Method=body["method"])
    assert (note.status_code, note.content) == (202, b"")
    assert "content-type" not in note.headers  # strict clients parse what has a type


async def test_a_large_answer_is_one_event_too(caller: Caller) -> None:
    text = "a line\n" * 1_000 + "“\u2028”"
    content = {"name": "add_memory", "arguments": {"content": text}}
    added = await caller.post({**LIST, "method": "tools/call", "params": content}, Accept="text/event-stream")
    memory_id = event_of(added)["result"]["structuredContent"]["memory_id"]
    fetch = {"name": "fetch", "arguments": {"id": memory_id}}
    answer = await caller.post({**LIST, "method": "tools/call", "params": fetch}, Accept="text/event-stream")
    assert event_of(answer)["result"]["structuredContent"]["text"] == text


@rows("header", [None, LEGACY, MODERN, "2099-01-01", "nonsense", ""])
async def test_initialize_negotiates_any_version(caller: Caller, header: str | None) -> None:
    headers = {} if header is None else {"MCP_Protocol_Version": header}
    for said in (*KNOWN, "2023-01-01", "2099-01-01", "1.0", "", None, 7):
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {**HELLO, "protocolVersion": said}}
        answer = await caller.post(body, Accept="application/json", **headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["protocolVersion"] == (said if said in KNOWN[:-1] else LEGACY)


@pytest.mark.parametrize(
    "params", [None, {}, {"capabilities": None}, {"clientInfo": {"name": None}, "capabilities": []}]
)
async def test_initialize_needs_no_params(caller: Caller, params: object) -> None:
    body = {"jsonrpc": "2.0", "id": "a", "method": "initialize"} | ({} if params is None else {"params": params})
    answer = await caller.post(body)
    assert answer.json()["result"]["protocolVersion"] == LEGACY
    assert answer.json()["id"] == "a"


@pytest.mark.parametrize("revision", ["2023-01-01", "2099-01-01", "nonsense"])
async def test_another_call_of_an_unknown_revision_names_the_known_ones(caller: Caller, revision: str) -> None:
    in_body = {**LIST, "params": {"_meta": {**envelope(), "io.modelcontextprotocol/protocolVersion": revision}}}
    for answer in (
        await caller.post(LIST, MCP_Protocol_Version=revision),
        await caller.post(in_body),
        await caller.post(in_body, MCP_Protocol_Version=revision, Mcp_Method="tools/list"),
        await caller.post({**LIST, "method": "nonsense"}, MCP_Protocol_Version=revision),
    ):
        assert (answer.status_code, answer.json()["id"]) == (400, 7)
        error = answer.json()["error"]
        assert all(known in error["message"] for known in KNOWN)
        assert error["data"] == {"supported": [MODERN], "requested": revision}


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_revision_that_a_proxy_repeats_counts_once(caller: Caller, revision: str) -> None:
    headers = {"Mcp_Method": "tools/call", "Mcp_Name": "list_memories"}
    for copies in (f"{revision}, {revision}", f"{revision},{revision} ,{revision}"):
        assert (await caller.post(CALL, MCP_Protocol_Version=copies, **headers)).status_code == 200
    for other in (f"{revision}, 2099-01-01", f"{LEGACY}, {MODERN}"):
        error = (await caller.post(CALL, MCP_Protocol_Version=other, **headers)).json()["error"]
        assert all(known in error["message"] for known in KNOWN)


@pytest.mark.parametrize("revision", [LEGACY, MODERN, None])
async def test_a_batch_gets_one_clean_sentence(caller: Caller, revision: str | None) -> None:
    headers = {"MCP_Protocol_Version": revision} if revision else {}
    for batch in ([], [LIST], [LIST, LIST], [7], [{**LIST, "method": "initialize"}]):
        answer = await caller.post(batch, **headers)
        assert (answer.status_code, answer.json()["id"]) == (400, None)
        assert answer.json()["error"]["message"].startswith(BATCH)


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_a_body_that_is_no_message_gets_one_clean_sentence(caller: Caller, revision: str) -> None:
    for body in (7, "x", True, {}, {"a": 1}, {**LIST, "method": 3}, {**LIST, "jsonrpc": "1.0"}):
        answer = await caller.post(body, MCP_Protocol_Version=revision)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("The body must be one JSON-RPC 2.0 message")


@pytest.mark.parametrize("session", ["1234", "f" * 32, "", "a b"])
async def test_an_unknown_session_is_ignored(caller: Caller, session: str) -> None:
    for body in (LIST, {**LIST, "method": "ping"}):
        answer = await caller.post(body, Mcp_Session_Id=session, MCP_Protocol_Version=LEGACY)
        assert answer.status_code == 200
        assert "mcp-session-id" not in answer.headers


async def test_a_blank_revision_is_none(caller: Caller) -> None:
    assert (await caller.post(LIST, MCP_Protocol_Version=" ")).status_code == 200
