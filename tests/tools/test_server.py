"""Pins how the server describes itself and its tools, which models and clients rely on."""

import logging
from typing import Any

import pytest

from server import __version__
from tests.support.tables import rows
from tests.tools.conftest import MODERN, Mcp
from tools.server import INSTRUCTIONS, protocol_server

READS = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
TOOLS = {
    "search": ("Search memories", READS),
    "fetch": ("Read a memory", READS),
    "list_memories": ("List memories", READS),
    "context": ("Recall the essentials", READS),
    "add_memory": ("Remember something", {**READS, "readOnlyHint": False, "idempotentHint": False}),
    "update_memory": ("Correct a memory", {**READS, "readOnlyHint": False}),
    "delete_memory": ("Forget a memory", {**READS, "readOnlyHint": False, "destructiveHint": True}),
}
FILTERS = ["tags", "match_all_tags", "people_mentioned", "topic_category", "temporal_filter", "timezone"]
FILTERS += ["created_after", "created_before", "metadata", "threshold"]
LABELS = ["tags", "people_mentioned", "topic_category"]
ARGUMENTS = {
    "search": ["query", "limit", *FILTERS],
    "fetch": ["id"],
    "list_memories": ["limit", "offset", "tags", "topic_category", "pinned"],
    "context": ["budget"],
    "add_memory": ["content", *LABELS, "created_at", "expires_in_days", "pinned", "metadata"],
    "update_memory": ["id", "content", *LABELS, "pinned", "metadata"],
    "delete_memory": ["id", "permanent"],
}
REQUIRED = {"search": ["query"], "add_memory": ["content"], "list_memories": [], "context": []}
ANSWERS = {
    "search": ["results"],
    "fetch": ["id", "title", "text", "url", "metadata"],
    "list_memories": ["results", "total"],
    "context": ["text", "memories"],
    "add_memory": ["memory_id", "message"],
    "update_memory": ["memory_id", "message"],
    "delete_memory": ["memory_id", "message"],
}


@pytest.fixture
async def tools(mcp: Mcp) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in (await mcp.result("tools/list"))["tools"]}


async def test_c16_there_are_seven_tools_with_all_four_hints(tools: dict[str, dict[str, Any]]) -> None:
    said = {name: (tool["title"], tool["annotations"]) for name, tool in tools.items()}
    assert said == {name: (title, {"title": title, **hints}) for name, (title, hints) in TOOLS.items()}


async def test_the_schemas_describe_input_and_output(tools: dict[str, dict[str, Any]]) -> None:
    for name, tool in tools.items():
        given, answered = tool["inputSchema"], tool["outputSchema"]
        assert list(given["properties"]) == ARGUMENTS[name]
        assert given.get("required", []) == REQUIRED.get(name, ["id"])
        assert sorted(answered["required"]) == sorted(ANSWERS[name])
        assert all(argument["description"] for argument in given["properties"].values())


async def test_descriptions_say_when_to_use_a_tool(tools: dict[str, dict[str, Any]]) -> None:
    for tool in tools.values():
        assert 30 < len(tool["description"]) < 700
        assert "\n    " not in tool["description"]


async def test_the_schemas_have_the_limits_of_rest(tools: dict[str, dict[str, Any]]) -> None:
    search, add = (tools[name]["inputSchema"]["properties"] for name in ("search", "add_memory"))
    assert (search["limit"]["minimum"], search["limit"]["maximum"]) == (1, 100)
    assert "10 if left out" in search["limit"]["description"]
    assert (search["threshold"]["minimum"], search["threshold"]["maximum"]) == (0, 1)
    assert "at most 10,000 characters" in add["content"]["description"]
    assert "UTC unless it has an offset" in add["created_at"]["description"]


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


@rows("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_protocol_revision_with_a_handshake_works(mcp: Mcp, asked: str) -> None:
    hello = {"capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}, "protocolVersion": asked}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    answer = await mcp.client.post("/mcp", json=body, headers={**mcp.headers, "Accept": "*/*"})
    assert answer.json()["result"]["protocolVersion"] == asked
    assert "mcp-session-id" not in answer.headers


async def test_the_list_of_tools_is_cached_for_one_credential(mcp: Mcp) -> None:
    said = await mcp.result("tools/list")
    assert (said.get("ttlMs"), said.get("cacheScope")) == (
        (300_000, "private") if mcp.revision == MODERN else (None, None)
    )


async def test_the_names_of_earlier_versions_are_answered_and_not_listed(
    mcp: Mcp, tools: dict[str, dict[str, Any]]
) -> None:
    assert not {"add", "list", "update", "delete"} & set(tools)
    memory_id = (await mcp.call("add", content="Tea at five."))["memory_id"]
    await mcp.call("update", id=memory_id, content="Tea at four.")
    assert [entry["text"] for entry in (await mcp.call("list"))["results"]] == ["Tea at four."]
    await mcp.call("delete", id=memory_id)
    assert (await mcp.call("list"))["total"] == 0


def test_the_logging_configuration_stays_unchanged() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # the state before any configuration
    try:
        protocol_server()
        assert (root.handlers, root.level) == ([], level)
    finally:
        root.handlers[:] = handlers
