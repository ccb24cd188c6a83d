"""Memories from messages, in the forms in which programs send chats."""

import pytest

from tests.rest.conftest import Caller

pytestmark = pytest.mark.sqlite_only


async def test_the_text_parts_of_a_message_become_lines(api: Caller) -> None:
    parts = [{"type": "text", "text": "Where is it?"}, {"type": "input_text", "text": "Here?"}]
    created = (await api.post("/api/memories", {"messages": [{"role": "user", "content": parts}]})).json()
    assert created["operations"][0]["memory"] == "Where is it?\nHere?"
    created = (await api.post("/api/memories", {"messages": [{"role": "user", "content": parts[0]}]})).json()
    assert created["operations"][0]["memory"] == "Where is it?"


async def test_messages_without_text_are_left_out(api: Caller) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    asked, answered = {"role": "user", "content": "Is it raining?"}, {"role": "assistant", "content": "No."}
    of_openai = [
        asked,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "assistant", "content": "", "function_call": call["function"]},
        answered,
    ]
    of_anthropic = [
        {"role": "user", "content": [{"type": "image", "source": {}}, {"type": "text", "text": "Is it raining?"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": ""}, {"type": "tool_use", "id": "toolu_1", "name": "weather"}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "dry"}]},
        {"role": "assistant", "content": ["No."]},
    ]
    for messages, left_out in (
        (of_openai, ["1.tool_calls", "2.tool_calls", "3.function_call"]),
        (of_anthropic, ["0.image", "1.tool_use", "2.tool_result"]),
    ):
        created = (await api.post("/api/memories", {"messages": messages})).json()
        assert created["warnings"] == [f"messages.{name}: is not a field." for name in left_out]
        memory = (await api.get(f"/api/memories/{created['memory_id']}")).json()
        assert memory["messages"] == [asked, answered]
        assert memory["content"] == "user: Is it raining?\nassistant: No."
    created = (await api.post("/api/memories", {"messages": of_openai[:2]})).json()
    assert created["operations"][0]["memory"] == "Is it raining?"


async def test_several_messages_are_one_memory_and_are_stored_in_full(api: Caller) -> None:
    messages = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Under\nthe bed."}]
    created = (await api.post("/api/memories", {"messages": messages})).json()
    memory = (await api.get(f"/api/memories/{created['memory_id']}")).json()
    assert memory["content"] == "user: Where is it?\nassistant: Under\nthe bed."
    assert memory["messages"] == messages
    assert created["operations"][0]["memory"] == memory["content"]
