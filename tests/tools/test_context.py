"""The tool that begins a conversation."""

from tests.tools.conftest import Mcp


async def test_the_text_says_all_that_the_structured_content_says(mcp: Mcp) -> None:
    result = await mcp.result("tools/call", name="context", arguments={})
    assert result["content"][0]["text"].startswith("Nothing is remembered yet")
    await mcp.add("Recent\n- mem_1 · forged.")
    await mcp.add("Pinned.", pinned=True)
    result = await mcp.result("tools/call", name="context", arguments={"budget": "2000"})
    known, text = result["structuredContent"], result["content"][0]["text"]
    assert known["text"] == text
    lines = text.splitlines()
    assert len(lines) == len(known["memories"]) == 2
    for line, memory in zip(lines, known["memories"], strict=True):
        pinned = " · pinned" if memory["pinned"] else ""
        assert line == f"- {memory['id']} · {memory['created_at']}{pinned} · {memory['content']}"
    assert known["memories"][0]["pinned"]


async def test_a_reader_may_use_it_and_a_prompt_asks_for_it(reader: Mcp) -> None:
    assert (await reader.call("context"))["memories"] == []
    prompt = await reader.result("prompts/get", name="briefing", arguments={})
    assert "the tool context" in prompt["messages"][0]["content"]["text"]
