"""Imports recognize the format of a file by its content. A repeated import stores nothing."""

import json
from pathlib import Path

import pytest

from server.domain.memory.duplicates import OnDuplicate
from server.domain.memory.exchange import json_values
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import Message
from server.errors import Invalid
from tests.support.moving import AT, CLAUDE, GRAPH, chat, read, said, texts
from tests.support.world import World


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


PLAIN = {
    "an object": json.dumps({"content": "tea"}),
    "a printed object": json.dumps({"memory": "tea", "metadata": {"a": 1}}, indent=2),
    "a list": json.dumps([{"text": "tea"}]),
    "a list of texts": json.dumps(["tea"]),
    "a list in an object": json.dumps({"results": [{"id": "1", "memory": "tea", "hash": "x"}], "total": 1}),
    "printed lists": json.dumps({"total": 1, "memories": [{"memory": "tea"}]}, indent=1),
    "objects by id": json.dumps({"m1": {"memory": "tea"}}),
    "a list deep inside": json.dumps({"user": {"notes": [{"text": "tea"}]}}),
    "memories beside facts about the export": json.dumps(
        {"user": {"id": "u"}, "apps": [{"name": "x"}], "memories": [{"content": "tea"}], "export_meta": {"version": 1}}
    ),
    "memories by id beside facts about the export": json.dumps(
        {"memories": {"m1": {"memory": "tea"}}, "user": {"a": 1}}
    ),
    "a list beside a type": json.dumps({"type": "export", "version": 1, "memories": [{"content": "tea"}]}),
    "texts in an object": json.dumps({"memories": ["tea"]}),
    "messages alone": json.dumps({"messages": [{"role": "user", "content": "tea"}]}),
    "commas": "id,content\n1,tea\n",
    "semicolons": "Text;Created At\ntea;2024-01-01\n",
    "tabs": "memory\ttags\ntea\ta\n",
    "a named separator": "sep=;\r\ncontent;tags\r\ntea;a\r\n",
    "spaces after commas": 'id, "content", tags\n1, "tea", "a, b"\n',
    "one column": "content\ntea\n",
    "Markdown": "---\ntags: [a]\n---\ntea\n",
}


@pytest.mark.parametrize("form", PLAIN)
def test_each_form_is_recognized_by_its_content(path: Path, form: str) -> None:
    assert texts(path, PLAIN[form]) == ["tea"]


@pytest.mark.parametrize("form", [form for form, content in PLAIN.items() if content.startswith(("{", "["))])
def test_json_that_is_read_in_parts_is_recognized_alike(path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "_CHUNK_LENGTH", 7)
    monkeypatch.setattr(json_values, "MAX_RECORD_LENGTH", 7)
    assert texts(path, PLAIN[form]) == ["tea"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("form", ["an object", "a list", "semicolons", "Markdown"])
def test_every_unicode_is_read(path: Path, form: str, encoding: str) -> None:
    assert texts(path, PLAIN[form].encode(encoding)) == ["tea"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b'{"content": "fine"}\n{"content": "caf\xe9"}\n',
            "line 2: is not UTF-8 or UTF-16 text. Save the file as UTF-8",
        ),
        (b"\x1f\x8b\x08", "This is a gzip file."),
        (b"%PDF-1.7\n", "This is a PDF file. Save its text as a Markdown file (.md)"),
        (b"{\\rtf1 Hi}", "This is an RTF file. Save its text as a Markdown file (.md)"),
        (b"\xd0\xcf\x11\xe0\xa1", "This is an old Word, Excel or Outlook file. Save its text"),
        (b"note.md".ljust(257, b"\0") + b"ustar\x0000", "This is a tar file, such as Joplin's JEX export. Use"),
        (b"abc\0\0\0\x01\x02def", "This is not a text file."),
        (b"just some words", "line 1: is in no known format"),
        (b'[{"content": "a"}, {"content": " "}]', "item 2: content: must not be blank"),
        (b'[{"content": "a"}, oops]', "item 2: is not JSON"),
        (b'{"content": "a"}\n{"content": "b"', "line 2: is not JSON"),
        (b'{"content": "a"}\n7\n', "line 2: must be a JSON object"),
        (b'[{"content": "a"}] thanks', "line 1: has text after the list."),
        (b'{"content": "a\nb"}', "line 1: is not JSON: invalid control character."),
        ('[{"content": "a\\ud83d"}]', "item 1: content: must be text without lone surrogates"),
        ('[{"messages": [{"role": "u", "content": "a\\ud83d"}]}]', "item 1: messages.0.content: must be text without"),
        (
            b'{"content": "a", "metadata": {"n": %s}}' % (b"9" * 5_000),
            "line 1: has a number with more than 4,300 digits.",
        ),
        (b'{"subject": "a"}', "line 1: content: is required. subject: is not a field. A valid line"),
        (b'{"contnt": "a"}', "line 1: content: is required. contnt: is not a field; did you mean content? A valid"),
        (b"Wir m\xf6gen Tee", "line 1: is not UTF-8 or UTF-16 text. Save the file as UTF-8"),
        (
            b"Name,Tags\nTea,a",
            "line 1: is in no known format: JSON, CSV with a column named content, memory or",
        ),
        (b"[" * 100_000, "item 1: is nested too deeply"),
        (b'content,tags\nfine,a\n"open', "line 3: has a quotation mark that is not closed"),
        (b'content,tags\n"a "b" c",d', "line 2: has text after a closing quotation mark"),
        (b"content,tags\nfine,a,b,c\n", "line 2: has 4 cells"),
    ],
)
def test_what_cannot_be_read_is_named_and_what_to_do(path: Path, content: bytes | str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(path, content)
    assert refused.value.detail.startswith(reason)
    if refused.value.field:
        assert "A valid line looks like this: {" in refused.value.detail
        assert "docs/" not in refused.value.detail


def test_warnings_beyond_a_hundred_are_counted(path: Path) -> None:
    warnings = Warnings()
    read(path, json.dumps({"content": "tea"} | {f"f{number}": 1 for number in range(130)}), warnings=warnings)
    assert (len(warnings.sentences()), warnings.sentences()[-1]) == (101, "other warnings are not listed (30 times)")


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


def test_a_memory_says_which_program_it_comes_from(path: Path) -> None:
    mem0 = {"memory": "x", "hash": "h"}
    files: dict[str | None, object] = {
        "ChatGPT": chat(),
        "Claude": CLAUDE,
        "MCP memory server": GRAPH[0],
        "mem0": mem0,
        None: {"content": "x"},
    }
    for program, entry in [*files.items(), ("Pocket", {**mem0, "source": "Pocket"})]:
        assert {line.source and line.source.name for line in read(path, json.dumps([entry]))} == {program}


TOO_LONG = "content: has {:,} characters, and a memory or message holds at most 10,000: split it into several."


@pytest.mark.parametrize("length", [10_001, 12_000_000])
@pytest.mark.parametrize("form", ['{"content": "%s"}', "content,tags\n%s,a\n"])
def test_a_text_that_is_too_long_is_said_with_its_length(path: Path, form: str, length: int) -> None:
    with pytest.raises(Invalid) as refused:
        read(path, form % ("x" * length))
    place = "line 1" if form.startswith("{") else "line 2"
    assert refused.value.detail.startswith(f"{place}: {TOO_LONG.format(length)}")


def test_a_conversation_or_version_that_is_too_long_is_said_with_its_length(path: Path) -> None:
    line: dict[str, object] = {"content": "x" * 1_200_000, "messages": [{"role": "user", "content": "x"}]}
    reason = "has 1,200,000 characters, more than 100 messages of 10,000: split it into several."
    with pytest.raises(Invalid) as refused:
        read(path, json.dumps(line))
    assert refused.value.detail.startswith(f"line 1: content: {reason}")
    version = {"version": 1, "content": "x" * 1_200_000, "updated_at": AT}
    with pytest.raises(Invalid) as refused:
        read(path, json.dumps({"content": "tea", "version": 2, "history": [version]}))
    assert refused.value.detail.startswith(f"line 1: history.0.content: {reason}")


def test_values_at_the_border_of_what_is_read_at_a_time_are_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "_CHUNK_LENGTH", 7)
    records = [{"content": 'a "quoted" é\\ text \U0001f388', "metadata": {"n": 12.5e3, "b": [True, None]}}] * 3
    in_object = json.dumps({"memories": records}, indent=1)
    for content in (json.dumps(records), in_object, "\n".join(map(json.dumps, records))):
        assert [line.metadata for line in read(path, content)] == [records[0]["metadata"]] * 3


def test_a_value_beyond_every_bound_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "MAX_VALUE_LENGTH", 100_000)
    with pytest.raises(Invalid, match="item 1: has more than 100,000 characters: split it"):
        read(path, '["' + "x" * 500_000 + '"]')


def test_blank_lines_count(path: Path) -> None:
    with pytest.raises(Invalid, match="line 200001: must be a JSON object"):
        read(path, '{"content": "tea"}' + "\n" * 200_000 + "tea")


def test_what_is_there_is_skipped_unless_it_is_wanted_twice(world: World, path: Path) -> None:
    lines = [{"content": "tea"}, {"content": "tea", "created_at": AT}, {"content": "tea", "user_id": "ann"}]
    content = "\n".join(map(json.dumps, lines))

    def bring(on_duplicate: OnDuplicate = OnDuplicate.SKIP) -> tuple[int, int, int]:
        given = read(path, content)
        return import_memories(world.database, world.project_id, given, world.index, on_duplicate=on_duplicate)

    assert bring() == (3, 0, 0)
    assert bring() == (0, 3, 0)
    assert bring(OnDuplicate.KEEP) == (3, 0, 0)
