"""Imports of the conversations of ChatGPT and Claude."""

import json
from pathlib import Path

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.inputs import Message
from tests.support.moving import AT, CLAUDE, chat, read, said, texts


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


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Tea \ue200cite\ue202turn0search0\ue202turn0news3\ue201 and \ue200i\ue202turn0image0\ue201.", "Tea and."),
        ('In \ue200entity\ue202["city","Roma 🏛","Italy"]\ue201.', "In Roma 🏛."),
        ("See \ue200url\ue202The docs\ue202turn0search0\ue201!", "See The docs!"),
        ("\ue200entity\ue202[1]\ue201\ue200entity\ue202{\ue201a\ue200b \ue201", "a\ue200b \ue201"),
        ("\ue200cite\ue202" * 10_000, "\ue200cite\ue202" * 10_000),
    ],
    ids=["sources", "a name", "a link", "damaged", "endless"],
)
def test_the_signs_of_chatgpt_for_sources_are_not_text(path: Path, written: str, shown: str) -> None:
    lines = read(path, json.dumps([chat(mapping={"a": said("assistant", written, None)})]))
    assert "".join(message.content or "" for line in lines for message in line.messages or ()) == shown


def test_a_claude_conversation_is_read(path: Path) -> None:
    (line,) = read(path, json.dumps([CLAUDE]))
    assert line.content == "Bread\nuser: How long?\nassistant: An hour."
    assert (line.metadata["source"], line.created_at.year) == ("claude", 2024)


ROOT = "00000000-0000-4000-8000-000000000000"


def claude_tree(*messages: tuple[str, str, str], **fields: object) -> str:
    """Return an export with a conversation of messages: sender and text, which is its id too, and the parent's id."""
    listed = [
        {"uuid": text, "sender": sender, "text": text, "parent_message_uuid": parent}
        for sender, text, parent in messages
    ]
    return json.dumps([{"uuid": "u1", "name": "Bread", "created_at": AT, "chat_messages": listed, **fields}])


EDITED = [
    ("human", "Rye?", ROOT), ("assistant", "A day.", "Rye?"),
    ("human", "Wheat?", ROOT), ("assistant", "HM", "Wheat?"), ("assistant", "An hour.", "Wheat?"),
]  # fmt: skip


def test_of_a_claude_conversation_the_kept_branch_is_read(path: Path) -> None:
    assert texts(path, claude_tree(*EDITED)) == ["Bread\nuser: Wheat?\nassistant: An hour."]
    chosen = claude_tree(*EDITED, current_leaf_message_uuid="A day.")
    assert texts(path, chosen) == ["Bread\nuser: Rye?\nassistant: A day."]


def test_a_claude_conversation_whose_parents_make_no_tree_is_read_in_its_order(path: Path) -> None:
    flat = [(sender, text, ROOT) for sender, text, _ in EDITED[:3]]
    assert texts(path, claude_tree(*flat)) == ["Bread\nuser: Rye?\nassistant: A day.", "Bread\nuser: Wheat?"]


@pytest.mark.parametrize(
    "empty",
    [
        {"title": None, "mapping": None},
        {"title": None, "mapping": {"a": said("user", "\u200b", None)}},
        {"uuid": "u2", "name": "", "chat_messages": None},
        {"chat_messages": [{"sender": ["human"], "text": "x"}, None, {"sender": None, "content": [None]}]},
    ],
)
def test_a_conversation_without_messages_does_not_stop_the_others(path: Path, empty: dict[str, object]) -> None:
    assert texts(path, json.dumps([empty, CLAUDE])) == ["Bread\nuser: How long?\nassistant: An hour."]


def test_the_text_of_a_file_attached_in_claude_is_part_of_the_message(path: Path) -> None:
    pasted = {"file_name": "", "file_type": "txt", "extracted_content": "Rye, water, salt."}
    named = {"file_name": "cv.docx", "extracted_content": "Anna, baker"}
    message = {"sender": "human", "text": "", "content": [], "attachments": [pasted, named, {"file_name": "b.pdf"}]}
    warnings = Warnings()
    (line,) = read(path, json.dumps([{**CLAUDE, "chat_messages": [message]}]), warnings=warnings)
    assert line.content == "Bread\nuser: Rye, water, salt.\ncv.docx\nAnna, baker"
    assert warnings.sentences() == ["attached files in chats were left out: only text is imported (1 time)"]


def test_what_is_no_text_in_chats_is_counted_by_kind(path: Path) -> None:
    image, sound = (
        {"content_type": f"{kind}_asset_pointer", "asset_pointer": f"x://{kind}1"} for kind in ("image", "audio")
    )
    spoken = {"content_type": "audio_transcription", "text": "Where to stay?"}
    files = [{"id": "image1", "mime_type": "image/png"}, {"id": "f2", "mime_type": "application/pdf"}]
    conversation = chat()
    conversation["mapping"]["q1"] = said("user", "", "hidden", metadata={"attachments": files})
    conversation["mapping"]["q1"]["message"]["content"] = {
        "content_type": "multimodal_text", "parts": [image, image, sound, spoken, "Look."],
    }  # fmt: skip
    claude = {**CLAUDE, "chat_messages": [
        {"sender": "human", "text": "Hi.", "files": [{"file_name": "a.jpg"}], "attachments": [{"file_name": "b"}]},
        {"sender": "assistant", "content": [{"type": kind, "thinking": "HM"} for kind in ("thinking", "tool_use")]},
    ]}  # fmt: skip
    warnings = Warnings()
    lines = read(path, json.dumps([conversation, claude]), warnings=warnings)
    assert "user: Where to stay?\nLook.\n" in lines[0].content
    ending = " in chats were left out: only text is imported "
    assert {sentence.partition(ending)[::2] for sentence in warnings.sentences()} == {
        ("images", "(3 times)"), ("recordings", "(1 time)"), ("attached files", "(2 times)"),
        ("tool calls and their results", "(3 times)"), ("the assistant's thoughts", "(1 time)"),
    }  # fmt: skip
