"""The exports of ChatGPT and Claude."""

import json
from pathlib import Path

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.inputs import Message
from tests.support.moving import CLAUDE, chat, read, said, zipped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def test_of_a_chatgpt_conversation_the_kept_branch_is_read_by_question(path: Path) -> None:
    first, second = read(path, json.dumps([chat()]))
    assert first.content == "Trip to Rome\nuser: Where to stay?\nassistant: Near the station."
    assert second.content == "Trip to Rome\nuser: And to eat?\nassistant: Trattoria."
    assert first.created_at.isoformat() == "2023-11-14T22:13:20.500000+00:00"
    assert first.metadata == {"source": "chatgpt", "conversation_id": "c1", "title": "Trip to Rome"}
    assert first.messages
    assert first.messages[1] == Message(role="assistant", content="Near the station.")


def test_a_chat_without_a_current_node_and_in_a_circle_is_read_too(path: Path) -> None:
    conversation = chat(current_node=None)
    conversation["mapping"]["q1"]["parent"] = "a2"
    assert len(read(path, json.dumps([conversation]))) == 2


def test_a_long_answer_is_cut_into_several_memories(path: Path) -> None:
    answer = ". ".join(f"Sentence {number} about a very long walk" for number in range(2_000))
    conversation = chat()
    conversation["mapping"]["a2"] = said("assistant", answer, "q2")
    _, *parts = read(path, json.dumps([conversation]))
    assert len(parts) > 3
    assert all(message.content and len(message.content) <= 10_000 for part in parts for message in part.messages or ())
    assert all(part.content.startswith("Trip to Rome\n") for part in parts)
    assert "Sentence 1999" in parts[-1].content


def test_a_claude_conversation_is_read(path: Path) -> None:
    (line,) = read(path, json.dumps([CLAUDE]))
    assert line.content == "Bread\nuser: How long?\nassistant: An hour."
    assert (line.metadata["source"], line.created_at.year) == ("claude", 2024)


def test_the_zip_of_a_chat_is_read_without_its_other_files(path: Path) -> None:
    files = {"user.json": "{}", "export/conversations.json": json.dumps([chat()]), "__MACOSX/x.json": "{"}
    assert len(read(zipped(path, files))) == 2


def test_what_a_chat_holds_besides_text_is_counted(path: Path) -> None:
    conversation = chat()
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file://x"}
    shown = said("user", "", "root", metadata={"attachments": [{"name": "a.pdf"}, {"name": "b.pdf"}]})
    shown["message"]["content"] = {"content_type": "multimodal_text", "parts": [picture, "What is this?"]}
    thought = said("assistant", "", "seen")
    thought["message"]["content"] = {"content_type": "thoughts", "thoughts": []}
    conversation["mapping"] |= {"seen": shown, "thought": thought, "end": said("assistant", "A cat.", "thought")}
    warnings = Warnings()
    (line,) = read(path, json.dumps([conversation | {"current_node": "end"}]), warnings=warnings)
    assert "What is this?" in line.content
    attached = "an attached file was left out; import it by itself"
    part = "a part of a conversation that is no text was left out"
    assert warnings.sentences() == [f"{attached} (2 times)", f"image_asset_pointer: {part}", f"thoughts: {part}"]
    warnings = Warnings()
    asked = {"sender": "human", "text": "Read it.", "attachments": [{"file_name": "a"}], "files": [{"file_name": "b"}]}
    answered = {
        "sender": "assistant",
        "content": [{"type": "tool_use", "input": {}}, {"type": "text", "text": "Done."}],
    }
    read(path, json.dumps([{"uuid": "1", "chat_messages": [asked, answered]}]), warnings=warnings)
    assert warnings.sentences() == [f"{attached} (2 times)", f"tool_use: {part}"]
