"""Pins how the server describes itself and its tools, which models and clients rely on."""

import logging
from typing import Any

import pytest

from server import __version__
from tests.tools.conftest import MODERN, Mcp
from tools.server import INSTRUCTIONS, protocol_server

READS = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
TOOLS = {
    "search": ("Search memories", READS),
    "fetch": ("Read a memory", READS),
    "list": ("List memories", READS),
    "add": ("Remember something", {**READS, "readOnlyHint": False, "idempotentHint": False}),
    "update": ("Correct a memory", {**READS, "readOnlyHint": False}),
    "delete": ("Forget a memory", {**READS, "readOnlyHint": False, "destructiveHint": True}),
}
ARGUMENTS = {
    "search": ["query", "limit", "tags", "people_mentioned", "topic_category", "temporal_filter", "threshold"],
    "fetch": ["id"],
    "list": ["limit", "offset"],
    "add": ["content", "tags", "people_mentioned", "topic_category", "metadata"],
    "update": ["id", "content", "metadata"],
    "delete": ["id"],
}
REQUIRED = {"search": ["query"], "add": ["content"], "fetch": ["id"], "update": ["id"], "delete": ["id"], "list": []}
ANSWERS = {
    "search": ["results"],
    "fetch": ["id", "title", "text", "url", "metadata"],
    "list": ["results", "total"],
    "add": ["memory_id", "message"],
    "update": ["memory_id", "message"],
    "delete": ["memory_id", "message"],
}


@pytest.fixture
async def tools(mcp: Mcp) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in (await mcp.result("tools/list"))["tools"]}


async def test_c16_there_are_six_tools_with_all_four_hints(tools: dict[str, dict[str, Any]]) -> None:
    said = {name: (tool["title"], tool["annotations"]) for name, tool in tools.items()}
    assert said == {name: (title, {"title": title, **hints}) for name, (title, hints) in TOOLS.items()}


async def test_the_schemas_describe_input_and_output(tools: dict[str, dict[str, Any]]) -> None:
    for name, tool in tools.items():
        given, answered = tool["inputSchema"], tool["outputSchema"]
        assert list(given["properties"]) == ARGUMENTS[name]
        assert given.get("required", []) == REQUIRED[name]
        assert sorted(answered["required"]) == sorted(ANSWERS[name])
        assert all(argument["description"] for argument in given["properties"].values())


async def test_descriptions_say_when_to_use_a_tool(tools: dict[str, dict[str, Any]]) -> None:
    for tool in tools.values():
        assert 30 < len(tool["description"]) < 700
        assert "\n    " not in tool["description"]


async def test_the_schemas_have_the_limits_of_rest(tools: dict[str, dict[str, Any]]) -> None:
    search, add = (tools[name]["inputSchema"]["properties"] for name in ("search", "add"))
    assert (search["limit"]["minimum"], search["limit"]["maximum"], search["limit"]["default"]) == (1, 100, 10)
    assert (search["threshold"]["minimum"], search["threshold"]["maximum"]) == (0, 1)
    assert (add["content"]["minLength"], add["content"]["maxLength"]) == (1, 10_000)


async def test_the_server_introduces_itself(mcp: Mcp) -> None:
    hello: dict[str, object] = {"capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    if mcp.revision == MODERN:
        said = await mcp.result("server/discover")
        assert MODERN in said["supportedVersions"]
        info = said["_meta"]["io.modelcontextprotocol/serverInfo"]
    else:
        said = await mcp.result("initialize", protocolVersion=mcp.revision, **hello)
        assert said["protocolVersion"] == mcp.revision
        info = said["serverInfo"]
    assert info == {"name": "SelfMemory", "title": "SelfMemory", "version": __version__}
    assert said["instructions"] == INSTRUCTIONS
    assert "tools" in said["capabilities"]


@pytest.mark.parametrize("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_protocol_revision_with_a_handshake_works(mcp: Mcp, asked: str) -> None:
    hello = {"capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}, "protocolVersion": asked}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    answer = await mcp.client.post("/mcp", json=body, headers={**mcp.headers, "Accept": "*/*"})
    assert answer.json()["result"]["protocolVersion"] == asked
    assert "mcp-session-id" not in answer.headers


async def test_the_list_of_tools_may_be_cached_by_anyone(mcp: Mcp) -> None:
    said = await mcp.result("tools/list")
    assert (said.get("ttlMs"), said.get("cacheScope")) == (
        (300_000, "public") if mcp.revision == MODERN else (None, None)
    )


def test_the_logging_configuration_stays_unchanged() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # the state before any configuration
    try:
        protocol_server()
        assert (root.handlers, root.level) == ([], level)
    finally:
        root.handlers[:] = handlers
