"""The schemas of tools: every client accepts them, and the answers of tools match them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from tests.support import schema_dialects as dialects
from tests.support.schema_dialects import Tool, positions
from tests.tools.conftest import MODERN, Mcp


@pytest.fixture
def revision() -> str:
    return MODERN


@pytest.fixture
async def tools(mcp: Mcp) -> list[Tool]:
    tools: list[Tool] = (await mcp.result("tools/list"))["tools"]
    assert len(tools) == 7
    return tools


@pytest.mark.parametrize(
    ("converted", "refuses"),
    [
        (dialects.gemini, dialects.gemini_refuses),
        (dialects.openai_strict, dialects.openai_refuses),
        (dialects.anthropic, dialects.anthropic_refuses),
    ],
    ids=["Gemini", "OpenAI strict", "Anthropic"],
)
async def test_the_vendor_takes_every_tool(
    tools: list[Tool], converted: Callable[[Tool], Tool], refuses: Callable[[Tool], Iterator[str]]
) -> None:
    assert [refusal for tool in tools for refusal in refuses(converted(tool))] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "string"}, {"type": "null"}], "type": "string"},
        {"type": "string", "default": ""},
        {"type": "object"},
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "string", "$ref": "#/$defs/Text"},
    ],
)
def test_the_validators_refuse_what_vendors_refuse(schema: dict[str, Any]) -> None:
    tool = {"name": "t", "description": "d", "inputSchema": {"type": "object", "properties": {"x": schema}}}
    assert list(dialects.gemini_refuses(dialects.gemini(tool)))


async def test_all_schemas_are_flat_and_typed(tools: list[Tool]) -> None:
    for tool in tools:
        for schema in (*positions(tool["inputSchema"]), *positions(tool["outputSchema"])):
            assert isinstance(schema["type"], str)
            assert schema["type"] != "null"
            assert ("items" in schema) == (schema["type"] == "array")
            assert schema.keys() <= {"type", "description", "properties", "required", "items", "minimum", "maximum"}
        assert all(len(part["description"]) > 10 for part in tool["inputSchema"]["properties"].values())


async def test_what_tools_answer_fits_their_output_schema(mcp: Mcp, tools: list[Tool]) -> None:
    memory_id = await mcp.add("Tea at five. " * 500, tags=["drinks"], metadata={"source": {"a": [None, 1.5]}})
    schemas = {tool["name"]: tool["outputSchema"] for tool in tools}
    calls: list[tuple[str, dict[str, object]]] = [
        ("search", {"query": "tea"}),
        ("fetch", {"id": memory_id}),
        ("list_memories", {}),
        ("add_memory", {"content": "x"}),
        ("update_memory", {"id": memory_id, "content": "y"}),
        ("delete_memory", {"id": memory_id}),
    ]
    for name, arguments in calls:
        structured = await mcp.call(name, **arguments)
        assert list(Draft202012Validator(schemas[name]).iter_errors(structured)) == []
        for schema, value in [(schemas[name], structured), *items_of(schemas[name], structured)]:
            assert set(value) <= set(schema["properties"])


def items_of(schema: dict[str, Any], value: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(schema["properties"]["results"]["items"], item) for item in value.get("results", [])]
