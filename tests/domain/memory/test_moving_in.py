"""What people bring from elsewhere is recognized by its content, and a second time nothing is stored."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from server.domain.memory.duplicates import OnDuplicate
from server.domain.memory.exchange import archive, json_values
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.lines import Line
from server.domain.memory.exchange.sources import Format, checked, read_path
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import Message
from server.errors import Invalid
from tests.support.world import World

AT = "2024-01-01T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def read(path: Path, content: str | bytes | None = None, *, warnings: Warnings | None = None) -> list[Line]:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(checked(read_path(path, warnings or Warnings())))


def texts(path: Path, content: str | bytes | None = None) -> list[str]:
    return [line.content for line in read(path, content)]


def zipped(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return path


def said(role: str, text: str, parent: str | None, **message: object) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"message": {"author": {"role": role}, "content": content, **message}, "parent": parent}


def chat(**fields: object) -> dict[str, Any]:
    """A conversation with a tool's call, a hidden instruction, and an answer that was replaced by another one."""
    mapping = {
        "root": {"message": None, "parent": None},
        "hidden": said("user", "HIDDEN", "root", metadata={"is_visually_hidden_from_conversation": True}),
        "q1": said("user", "Where to stay?", "hidden", create_time=1_700_000_000.5),
        "old": said("assistant", "REPLACED", "q1"),
        "call": said("assistant", "search(rome)", "q1", recipient="browser"),
        "tool": said("tool", "RESULT", "call"),
        "a1": said("assistant", "Near the station.", "tool", create_time=1_700_000_009),
        "q2": said("user", "And to eat?", "a1", create_time=1_700_000_100),
        "a2": said("assistant", "Trattoria.", "q2"),
    }
    return {
        "title": "Trip to Rome", "id": "c1", "create_time": 1.7e9, "mapping": mapping, "current_node": "a2", **fields,
    }  # fmt: skip


CLAUDE = {
    "uuid": "u1", "name": "Bread", "created_at": AT,
    "chat_messages": [
        {"sender": "human", "text": "How long?", "created_at": AT},
        {"sender": "assistant", "text": "", "content": [
            {"type": "thinking", "thinking": "HM"}, {"type": "text", "text": "An hour."}]},
    ],
}  # fmt: skip
GRAPH = [
    {"type": "entity", "name": "Anna", "entityType": "person", "observations": ["likes tea", "lives in Rome"]},
    {"type": "relation", "from": "Anna", "to": "Acme", "relationType": "works_at"},
]
PLAIN = {
    "an object": json.dumps({"content": "tea"}),
    "a printed object": json.dumps({"memory": "tea", "metadata": {"a": 1}}, indent=2),
    "a list": json.dumps([{"text": "tea"}]),
    "a list of texts": json.dumps(["tea"]),
    "a list in an object": json.dumps({"results": [{"id": "1", "memory": "tea", "hash": "x"}], "total": 1}),
    "printed lists": json.dumps({"total": 1, "memories": [{"memory": "tea"}]}, indent=1),
    "objects by id": json.dumps({"m1": {"memory": "tea"}}),
    "a list deep inside": json.dumps({"user": {"notes": [{"text": "tea"}]}}),
    "messages alone": json.dumps({"messages": [{"role": "user", "content": "tea"}]}),
    "commas": "id,content\n1,tea\n",
    "semicolons": "Text;Created At\ntea;2024-01-01\n",
    "tabs": "memory\ttags\ntea\ta\n",
    "a named separator": "sep=;\r\ncontent;tags\r\ntea;a\r\n",
    "one column": "content\ntea\n",
    "Markdown": "---\ntags: [a]\n---\ntea\n",
}


@pytest.mark.parametrize("form", PLAIN)
def test_each_form_is_recognized_by_its_content(path: Path, form: str) -> None:
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
        (b"abc\0\0\0\x01\x02def", "This is no text file."),
        (b"just some words", "line 1: is none of the forms"),
        (b'[{"content": "a"}, {"content": " "}]', "item 2: content: must not be blank"),
        (b'[{"content": "a"}, oops]', "item 2: is not JSON"),
        (b'{"content": "a"}\n{"content": "b"', "line 2: is not JSON"),
        (b'{"content": "a"}\n7\n', "line 2: must be a JSON object"),
        (b"[" * 100_000, "item 1: is nested too deeply"),
        (b'content,tags\nfine,a\n"open', "line 3: "),
        (b"content,tags\nfine,a,b,c\n", "line 2: has 4 cells"),
    ],
)
def test_what_cannot_be_read_is_named_and_what_to_do(path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(path, content)
    assert refused.value.detail.startswith(reason)
    if refused.value.field:
        assert "A right line: {" in refused.value.detail
        assert "docs/moving.md" in refused.value.detail


def test_a_table_keeps_line_ends_in_cells_labels_and_times(path: Path) -> None:
    (line,) = read(path, '\ufeffCONTENT;Tags;User ID;created_at\r\n"one\r\ntwo; three";"a,b";ann;2024-01-01\r\n\r\n')
    assert (line.content.splitlines(), line.metadata["tags"], line.user_id) == (["one", "two; three"], "a,b", "ann")
    assert line.created_at.year == 2024


def test_labels_and_agents_of_other_servers_are_kept_and_the_rest_is_named(path: Path) -> None:
    warnings = Warnings()
    record = {"memory": "tea", "categories": ["drinks"], "agent_id": "bot", "created_at": AT, "expiration_date": "x"}
    (line,) = read(path, json.dumps(record), warnings=warnings)
    assert line.metadata == {"tags": ["drinks"], "agent_id": "bot"}
    assert line.created_at.year == 2024
    assert warnings.sentences() == ["expiration_date: is not a field; did you mean expires_at? (1 times)"]


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


def test_entities_and_relations_are_read(path: Path) -> None:
    content = "\n".join(map(json.dumps, GRAPH))
    assert texts(path, content) == ["Anna (person)\nlikes tea\nlives in Rome", "Anna works at Acme"]
    assert read(path, content)[0].metadata["people_mentioned"] == ["Anna"]
    assert len(texts(path, json.dumps({"entities": GRAPH[:1], "relations": GRAPH[1:]}))) == 2


def test_a_folder_of_notes_is_read_with_its_front_matter(path: Path) -> None:
    (path / "trips").mkdir(parents=True)
    (path / ".obsidian").mkdir()
    (path / ".obsidian" / "app.json").write_text("{")
    (path / "trips" / "Rome.md").write_text(
        "---\ntags:\n  - trip\ncreated: 2024-05-01\nrating: 5\nperson: {name: Li}\n---\n# Rome\nNice.\n"
    )
    (path / "broken.md").write_text("---\n{{date}}: [\n---\nText.\n")
    broken, rome = read(path)
    assert (rome.content, rome.created_at.month) == ("# Rome\nNice.", 5)
    assert rome.metadata == {
        "title": "Rome", "file": "trips/Rome.md", "tags": ["trip"], "rating": 5, "person": {"name": "Li"},
    }  # fmt: skip
    assert broken.content.endswith("Text.")


def test_front_matter_that_would_grow_is_not_unpacked(path: Path) -> None:
    path.write_text("---\na: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n---\nText.\n")
    assert texts(path)[0].startswith("---")


def test_headings_cut_a_long_file(path: Path) -> None:
    body = "Before.\n" + "".join(f"## Part {n}\n" + "Some words here. " * 200 + "\n" for n in range(4))
    lines = read(path, f"---\ntitle: Long\n---\n{body}```\n# no heading\n```\n")
    assert [line.metadata.get("heading") for line in lines] == [None, "Part 0", "Part 1", "Part 2", "Part 3"]
    assert "# no heading" in lines[-1].content


def test_a_zip_that_grows_beyond_its_bounds_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(path, {"bomb.json": "[" + " " * 3_000_000 + "]"})
    monkeypatch.setattr(archive, "FREE_BYTES", 100_000)
    with pytest.raises(Invalid, match="unpacks to far more than it should"):
        read(path)
    zipped(path, {f"{number}.md": "x" for number in range(5)})
    monkeypatch.setattr(archive, "MAX_FILES", 4)
    with pytest.raises(Invalid, match="more than 4 files"):
        read(path)


def test_a_damaged_zip_is_refused_in_a_sentence(path: Path) -> None:
    content = bytearray(zipped(path, {"a.md": "x" * 1000}).read_bytes())
    content[40:50] = b"\xff" * 10
    path.write_bytes(content)
    with pytest.raises(Invalid, match="This zip is damaged"):
        read(path)


def test_values_at_the_border_of_what_is_read_at_a_time_are_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "_CHUNK_LENGTH", 7)
    records = [{"content": 'a "quoted" é\\ text \U0001f388', "metadata": {"n": 12.5e3, "b": [True, None]}}] * 3
    for content in (
        json.dumps(records),
        json.dumps({"memories": records}, indent=1),
        "\n".join(map(json.dumps, records)),
    ):
        assert [line.metadata for line in read(path, content)] == [records[0]["metadata"]] * 3


def test_a_value_beyond_every_bound_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "MAX_VALUE_LENGTH", 100_000)
    with pytest.raises(Invalid, match="item 1: must be at most"):
        read(path, '["' + "x" * 500_000 + '"]')


def test_what_is_there_is_skipped_unless_it_is_wanted_twice(world: World, path: Path) -> None:
    lines = [{"content": "tea"}, {"content": "tea", "created_at": AT}, {"content": "tea", "user_id": "ann"}]
    content = "\n".join(map(json.dumps, lines))

    def bring(on_duplicate: OnDuplicate = OnDuplicate.SKIP) -> tuple[int, int]:
        given = read(path, content)
        return import_memories(world.database, world.project_id, given, world.index, on_duplicate=on_duplicate)

    assert bring() == (3, 0)
    assert bring() == (0, 3)
    assert bring(OnDuplicate.KEEP) == (3, 0)


def test_a_forced_format_is_read_as_that(path: Path) -> None:
    path.write_text("just some words")
    (line,) = checked(read_path(path, Warnings(), Format.MARKDOWN))
    assert line.content == "just some words"
