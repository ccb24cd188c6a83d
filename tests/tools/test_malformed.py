"""Malformed messages: each gets one sentence that says what is wrong, and where."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Tenant
from tests.support.tables import rows
from tests.tools.conftest import ACCEPT, LEGACY, MODERN, Mcp, envelope

LIST: dict[str, object] = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
NO_MESSAGE = "The body must be one JSON-RPC 2.0 message: "
PARSE, REQUEST, PARAMS = -32700, -32600, -32602


async def refused(mcp: Mcp, body: object) -> tuple[int, dict[str, Any]]:
    """Post a body, with the headers that a client of the revision would send. Return the status and the answer."""
    method = str(body.get("method", "")) if isinstance(body, dict) else ""
    headers = {**ACCEPT, **mcp.headers, "Content-Type": "application/json"}
    headers |= {"MCP-Protocol-Version": mcp.revision, "Mcp-Method": method}
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = await mcp.client.post("/mcp", content=content, headers=headers)
    return answer.status_code, answer.json()


WRONG_PARTS: list[tuple[dict[str, object], str]] = [
    ({"id": None}, "id must be text or a whole number."),
    ({"id": 1.5}, "id must be text or a whole number."),
    ({"id": [1]}, "id must be text or a whole number."),
    ({"id": {}}, "id must be text or a whole number."),
    ({"id": True}, "id must be text or a whole number."),
    ({"id": None, "method": "initialize"}, "id must be text or a whole number."),
    ({"id": 1.5, "method": "notifications/initialized"}, "id must be text or a whole number."),
    ({"id": ...}, "id is required, because tools/list is not a notification."),
    ({"id": ..., "method": "initialize"}, "id is required, because initialize is not a notification."),
    ({"jsonrpc": ...}, 'jsonrpc must be "2.0".'),
    ({"jsonrpc": "1.0"}, 'jsonrpc must be "2.0".'),
    ({"jsonrpc": 2.0}, 'jsonrpc must be "2.0".'),
    ({"jsonrpc": None}, 'jsonrpc must be "2.0".'),
    ({"method": ...}, "method must be text."),
    ({"method": 3}, "method must be text."),
    ({"method": None}, "method must be text."),
    ({"params": [1]}, "params must be an object."),
    ({"params": "x"}, "params must be an object."),
    ({"params": True}, "params must be an object."),
    ({"method": "notifications/initialized", "id": ..., "params": [1]}, "params must be an object."),
    ({"method": ..., "error": 7}, "method must be text."),
    ({"method": ..., "result": {}, "params": 7}, "params must be an object."),
    ({"method": ..., "error": {"code": 1, "message": "no"}, "params": "x"}, "params must be an object."),
]  # fmt: skip


async def test_a_wrong_part_of_a_message_is_named(mcp: Mcp) -> None:
    for change, reason in WRONG_PARTS:
        body = {key: value for key, value in {**LIST, **change}.items() if value is not ...}
        status, answer = await refused(mcp, body)
        shown = 7 if body.get("id") == 7 else None
        error = {"code": REQUEST, "message": f"{NO_MESSAGE}{reason}"}
        assert (status, answer) == (400, {"jsonrpc": "2.0", "id": shown, "error": error}), change


async def test_a_body_that_is_no_object_is_no_message(mcp: Mcp) -> None:
    for body in (7, "x", None, True):
        status, answer = await refused(mcp, body)
        assert (status, answer["error"]["code"]) == (400, REQUEST)
        assert answer["error"]["message"].startswith(f"{NO_MESSAGE}an object with jsonrpc, method")


def adding(content: bytes) -> bytes:
    """Return a call of add_memory with this JSON text in its metadata."""
    params = {"name": "add_memory", "arguments": {"content": "x", "metadata": {"a": "THIS"}}, "_meta": envelope()}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    return json.dumps(message).encode().replace(b'"THIS"', content)


FIELD = "params.arguments.metadata.a"


NO_JSON = [
    (b"", "The body is empty."),
    (b" \n", "The body is empty."),
    (b"{", "The body is not valid JSON: EOF while parsing an object."),
    (b"hello", "The body is not valid JSON: expected value."),
    (json.dumps(LIST).encode("utf-16"), "The body must be UTF-8 text."),
    (b'{"a":' * 5000, "a.a.a.a: is nested too deeply."),
    (b"[" * 5000, "The body is nested too deeply."),
    (adding(b"[" * 9000 + b"]" * 9000), f"{FIELD}: is nested too deeply."),
    (adding(b'{"b":' * 900), f"{FIELD}: is nested too deeply."),
    (adding(b'"\\ud83d"'), f"{FIELD}: must be text without lone surrogates."),
    (adding(b'["x", "\\udc00 y"]'), f"{FIELD}.1: must be text without lone surrogates."),
    (adding(b'{"\\udc00": 1}'), f"{FIELD}: must be text without lone surrogates."),
    (adding(b"[1, -" + b"9" * 5000 + b"]"), f"{FIELD}.1: has too many digits."),
    (adding(b'"caf\xe9"'), f"{FIELD}: must be UTF-8 text."),
    (adding(b'"C:\\Users"'), f"{FIELD}: has an escape that JSON does not have: write the backslash twice."),
    (adding(b'"a\nb"'), f"{FIELD}: has a line break or control character: write it as an escape, such as \\n."),
]


async def test_what_is_no_json_is_named_with_its_place(mcp: Mcp) -> None:
    for body, sentence in NO_JSON:
        status, answer = await refused(mcp, body)
        error = {"code": PARSE, "message": sentence}
        assert (status, answer) == (400, {"jsonrpc": "2.0", "id": None, "error": error}), body[:40]


async def test_more_values_than_a_tool_can_use_are_refused_before_they_are_parsed(mcp: Mcp) -> None:
    """Parsing them would stop all other requests for a second."""
    for many in (b"[],", b'"\\"",', b"1,", b"{},"):
        status, answer = await refused(mcp, adding(b"[" + many * 500_000 + b"1]"))
        sentence = "The body has more than 20,000 names, values and commas: send fewer."
        assert (status, answer["error"]) == (400, {"code": PARSE, "message": sentence})
    _, answer = await refused(mcp, adding(b'"' + b'[\\",' * 100_000 + b'"'))  # a single text
    assert answer.get("error", {}).get("code") != PARSE


async def test_the_text_of_many_values_is_refused_before_it_is_parsed(mcp: Mcp) -> None:
    """Texts count as one value each, so a text could hold the millions that the body may not."""
    for name, text in ("tags", f"[{'1,' * 50_000}1]"), ("tags", "a," * 50_001), ("metadata", f"[{'1,' * 50_000}1]"):
        result = await mcp.result("tools/call", name="add_memory", arguments={"content": "x", name: text})
        assert result["content"][0]["text"] == f"{name}: must have at most 100,000 characters."
    params = {"name": "add_memory", "arguments": f'{{"content": "x", "tags": [{"1," * 60_000}1]}}', "_meta": envelope()}
    _, answer = await refused(mcp, {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
    assert answer["error"]["message"] == "arguments: must be a JSON object."


@pytest.mark.parametrize("written", [b"NaN", b"-Infinity", b"1e999"])
async def test_a_number_that_is_none_is_a_tool_error(client: httpx.AsyncClient, alice: Tenant, written: bytes) -> None:
    """A model reads it, and writes the number again."""
    _, answer = await refused(Mcp(client, alice.auth, LEGACY), adding(written))
    (content,) = answer["result"]["content"]
    assert (answer["result"]["isError"], content["text"][:12]) == (True, "metadata.a: ")


async def test_a_whole_number_may_be_written_with_a_point(mcp: Mcp) -> None:
    """Languages that know only one kind of number write the id 7 as 7.0."""
    headers = {**ACCEPT, **mcp.headers, "Content-Type": "application/json", "MCP-Protocol-Version": mcp.revision}
    headers["Mcp-Method"] = "tools/list"
    for written in ("7.0", "0.7e1", "7E0"):
        text = json.dumps({**LIST, "params": {"_meta": envelope()}}).replace('"id": 7', f'"id": {written}')
        answer = await mcp.client.post("/mcp", content=text, headers=headers)
        assert ("tools" in answer.json()["result"], answer.text.count('"id":7,')) == (True, 1), answer.text


@pytest.mark.parametrize("token", [None, 1.5, {}, []])
async def test_a_progress_token_has_no_effect(client: httpx.AsyncClient, alice: Tenant, token: object) -> None:
    headers = {**ACCEPT, **alice.auth, "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
    body = {**LIST, "params": {"_meta": {**envelope(), "progressToken": token}}}
    assert "tools" in (await client.post("/mcp", json=body, headers=headers)).json()["result"]


async def test_a_byte_order_mark_is_skipped(client: httpx.AsyncClient, alice: Tenant, revision: str) -> None:
    headers = {**ACCEPT, **alice.auth, "Content-Type": "application/json", "MCP-Protocol-Version": revision}
    body = {**LIST, "params": {"_meta": envelope()}}
    headers["Mcp-Method"] = "tools/list"
    answer = await client.post("/mcp", content=b"\xef\xbb\xbf" + json.dumps(body).encode(), headers=headers)
    assert len(answer.json()["result"]["tools"]) == 7


THERE = "The tools are search, fetch, list_memories, context, add_memory, update_memory, delete_memory."
PROMPTS = "The prompts are remember, recall, briefing."


WRONG_PARAMETERS: list[tuple[str, dict[str, object], str]] = [
    ("tools/call", {}, f"name: is required and must be text. {THERE}"),
    ("tools/call", {"arguments": {}}, f"name: is required and must be text. {THERE}"),
    ("tools/call", {"name": None}, f"name: is required and must be text. {THERE}"),
    ("tools/call", {"name": 7}, f"name: is required and must be text. {THERE}"),
    ("tools/call", {"name": "search", "arguments": [1]}, "arguments: must be a JSON object."),
    ("tools/call", {"name": "search", "arguments": "x"}, "arguments: must be a JSON object."),
    ("prompts/get", {}, f"name: is required and must be text. {PROMPTS}"),
    ("prompts/get", {"name": ["recall"]}, f"name: is required and must be text. {PROMPTS}"),
    ("prompts/get", {"name": "recall", "arguments": [1]}, "arguments: must be a JSON object."),
    ("prompts/get", {"name": "recall", "arguments": {"topic": ["x"]}}, "arguments.topic: must be text."),
    ("prompts/get", {"name": "recall", "arguments": {"topic": 7}}, "arguments.topic: must be text."),
    ("resources/read", {}, "uri: is required and must be text. It is memory:// followed by the id of a memory."),
    (
        "resources/read",
        {"uri": 7},
        "uri: is required and must be text. It is memory:// followed by the id of a memory.",
    ),
    ("resources/list", {"cursor": 7}, "cursor: must be text."),
    ("tools/list", {"cursor": []}, "cursor: must be text."),
]


async def test_a_wrong_parameter_is_named(mcp: Mcp) -> None:
    for method, params, sentence in WRONG_PARAMETERS:
        answer = await mcp.send(method, params)
        assert answer.json()["error"] == {"code": PARAMS, "message": sentence}
        assert answer.status_code == (400 if mcp.revision == MODERN else 200)
        assert answer.json()["id"] == 1


@rows("params", [None, {"_meta": 7}, {"_meta": []}])
async def test_meta_is_an_object(mcp: Mcp, params: object) -> None:
    """An earlier revision needs no parameters to list tools."""
    status, answer = await refused(mcp, {**LIST, "params": params})
    if mcp.revision == LEGACY and params is None:
        assert "tools" in answer["result"]
    else:
        assert (status, answer["error"]["code"]) == (400 if mcp.revision == MODERN else 200, PARAMS)
        assert "_meta" in answer["error"]["message"]


CLIENT = "io.modelcontextprotocol/clientInfo"
WRONG_TYPES: list[tuple[dict[str, object], dict[str, object], str]] = [
    ({}, {CLIENT: {"name": "x"}}, f"_meta.{CLIENT}.version: is required."),
    ({}, {CLIENT: "x"}, f"_meta.{CLIENT}: must be a JSON object."),
    ({}, {"io.modelcontextprotocol/clientCapabilities": {"roots": 7}},
     "_meta.io.modelcontextprotocol/clientCapabilities.roots: must be a JSON object."),
    ({"requestState": 7}, {}, "requestState: must be text."),
]  # fmt: skip


async def test_a_parameter_of_the_wrong_type_is_named(client: httpx.AsyncClient, alice: Tenant) -> None:
    headers = {**ACCEPT, **alice.auth, "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call"}
    headers["Mcp-Name"] = "context"
    for more, meta, sentence in WRONG_TYPES:
        params = {"name": "context", **more, "_meta": {**envelope(), **meta}}
        answer = await client.post("/mcp", json={**LIST, "method": "tools/call", "params": params}, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, {"code": PARAMS, "message": sentence})
    headers["MCP-Protocol-Version"] = LEGACY
    params = {"name": "context", "task": 7}
    answer = await client.post("/mcp", json={**LIST, "method": "tools/call", "params": params}, headers=headers)
    assert answer.json()["error"]["message"] == "task: must be a JSON object."


UNKNOWN_TOOLS = [
    ("forget_everything", f"Unknown tool: forget_everything. {THERE}"),
    ("", f"Unknown tool: . {THERE}"),
    ("searchs", f"Unknown tool: searchs; did you mean search? {THERE}"),
    ("search\n" + "x" * 500, f"Unknown tool: search {'x' * 53}. {THERE}"),
]


async def test_an_unknown_tool_names_those_that_there_are(client: httpx.AsyncClient, alice: Tenant) -> None:
    for name, sentence in UNKNOWN_TOOLS:
        answer = await Mcp(client, alice.auth, LEGACY).send("tools/call", {"name": name, "arguments": {}})
        assert answer.json()["error"] == {"code": PARAMS, "message": sentence}


async def test_arguments_of_a_prompt_may_be_the_text_of_an_object(mcp: Mcp) -> None:
    got = await mcp.result("prompts/get", name="recall", arguments='{"topic": "the harbor"}')
    assert "Topic: the harbor" in got["messages"][0]["content"]["text"]


EMPTY_LISTS: list[object] = [[], "[]", " [ ] "]
NOTE: dict[str, object] = {"jsonrpc": "2.0", "method": "notifications/initialized", "params": []}


async def test_an_empty_list_stands_for_an_empty_object(mcp: Mcp) -> None:
    """PHP writes an empty object as an empty list."""
    for arguments in EMPTY_LISTS:
        assert not (await mcp.result("tools/call", name="context", arguments=arguments))["isError"]
        assert (await mcp.result("prompts/get", name="briefing", arguments=arguments))["messages"]
    headers = {**ACCEPT, **mcp.headers, "Content-Type": "application/json"}
    for method in ("tools/list", "ping"):
        answer = await mcp.client.post("/mcp", json={**LIST, "method": method, "params": []}, headers=headers)
        assert "result" in answer.json()
    for note in (NOTE, {**NOTE, "id": None}):
        answer = await mcp.client.post("/mcp", json=note, headers={**headers, "MCP-Protocol-Version": mcp.revision})
        assert (answer.status_code, answer.content) == (202, b""), answer.text


async def test_a_notification_may_say_that_it_has_no_id(mcp: Mcp) -> None:
    body = {"jsonrpc": "2.0", "id": None, "method": "notifications/initialized"}
    headers = {**ACCEPT, **mcp.headers, "MCP-Protocol-Version": mcp.revision}
    assert (await mcp.client.post("/mcp", json=body, headers=headers)).status_code == 202


async def test_a_reply_is_taken_where_there_are_replies(mcp: Mcp) -> None:
    headers = {**ACCEPT, **mcp.headers, "MCP-Protocol-Version": mcp.revision}
    result = {"jsonrpc": "2.0", "id": 7, "result": {}}
    error = {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "Method not found"}}
    for reply in (result, error, {**error, "id": None}):
        answer = await mcp.client.post("/mcp", json=reply, headers=headers)
        assert answer.status_code == (400 if mcp.revision == MODERN else 202), answer.text
        assert "validation" not in answer.text
