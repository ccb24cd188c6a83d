"""The tool that the answer to an unknown name suggests."""

import pytest

from tests.tools.conftest import LEGACY, Mcp

pytestmark = pytest.mark.parametrize("revision", [LEGACY])

SUGGESTED = {
    "search": "search_memory memory_search find_memory mcp__selfmemory__search SEARCH serach search_nodes",
    "fetch": "get_memory fetchMemory read-memory open_nodes read_content ftech_memory",
    "list_memories": "getAllMemories listMemory get_all get_memories getDeletedMemories",
    "context": "get_context",
    "add_memory": "store_memory create_memory remember saveMemory create_entities",
    "update_memory": "edit_memory change_memory",
    "delete_memory": "remove_memory delete_all_memories DeleteMemory",
}
NONE = (
    "memory",
    "forget_memory",
    "ping",
    "get_" * 16,
    "move_note",
    "call_tool",
    "undo_delete",
    "restore_deleted_memory",
)


async def test_the_verb_of_an_unknown_name_decides(mcp: Mcp) -> None:
    """The whole name would not do: `get_memory` is nearest to `delete_memory`, and a model would follow that."""
    names = {name: tool for tool, names in SUGGESTED.items() for name in names.split()}
    for name, tool in {**names, **dict.fromkeys(NONE)}.items():
        answer = await mcp.send("tools/call", {"name": name, "arguments": {}})
        message = answer.json()["error"]["message"]
        hint = f"; did you mean {tool}?" if tool else "."
        assert message.startswith(f"Unknown tool: {name[:60]}{hint} The tools are search, "), message
