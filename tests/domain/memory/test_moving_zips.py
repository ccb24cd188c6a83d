"""Imports of folders and zips: which files are read, which are left out, and damaged zips."""

import json
import stat
import zipfile
from pathlib import Path

import pytest

from server.domain.memory.exchange import archive
from server.domain.memory.exchange.entries import Warnings
from server.errors import Invalid
from tests.support.moving import CLAUDE, chat, read, texts, zipped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def test_the_zip_of_a_chat_is_read_without_its_other_files(path: Path) -> None:
    for name in ("export/conversations.json", "Conversations-001.JSON"):
        files = {"user.json": "{}", name: json.dumps([chat()]), "__MACOSX/x.json": "{"}
        assert len(read(zipped(path, files))) == 2


def test_a_zip_that_grows_beyond_its_bounds_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(path, {"bomb.json": "[" + " " * 3_000_000 + "]"})
    monkeypatch.setattr(archive, "FREE_BYTES", 100_000)
    with pytest.raises(Invalid, match="unpacks to far more than it should"):
        read(path)
    zipped(path, {f"{number}.md": "x" for number in range(5)})
    monkeypatch.setattr(archive, "MAX_FILES", 4)
    with pytest.raises(Invalid, match="more than 4 files"):
        read(path)


def test_the_files_of_a_zip_are_counted_before_any_takes_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip of 200 MB has room for four million names, which take more than a gigabyte when the zip is opened."""
    zipped(path, {f"{number}/": "" for number in range(5)} | {"a.md": "tea"})
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(Invalid, match="more than 5 files"):
        read(path)


def test_a_damaged_zip_is_refused_in_a_sentence(path: Path) -> None:
    content = bytearray(zipped(path, {"a.md": "x" * 1000}).read_bytes())
    content[40:50] = b"\xff" * 10
    path.write_bytes(content)
    with pytest.raises(Invalid, match="This zip is damaged"):
        read(path)


def test_paths_may_be_written_as_any_program_does(path: Path) -> None:
    lines = read(
        zipped(path, {"./a.md": "tea", "./notes/./b.md": "milk", "notes\\c.md": "rum", "./.trash/d.md": "gin"})
    )
    assert [(line.content, line.metadata["file"]) for line in lines] == [
        ("tea", "a.md"),
        ("milk", "notes/b.md"),
        ("rum", "notes/c.md"),
    ]


@pytest.mark.parametrize("length", [60, 400, -1])
def test_a_zip_without_its_end_is_damaged(path: Path, length: int) -> None:
    content = zipped(path, {"a.md": "".join(map(str, range(500))), "b.md": "tea"}).read_bytes()
    with pytest.raises(Invalid, match=r"^This zip is damaged: .+ Download or create it again\."):
        read(path, content[:length])


def test_every_file_of_a_zip_that_is_left_out_is_counted_by_kind(path: Path) -> None:
    link = zipfile.ZipInfo("link.md")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    files = [
        "../evil.md",
        "/etc/evil.md",
        "a\\..\\evil.md",
        "C:\\evil.md",
        "inner.zip",
        "__MACOSX/x.md",
        "a\\.obsidian\\b.json",
    ]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(link, "good.md")
        for name in (*files, "a.png", "b.PDF", "good.md"):
            file.writestr(name, "tea")
    warnings = Warnings()
    assert [line.metadata["file"] for line in read(path, warnings=warnings)] == ["good.md"]
    assert set(warnings.sentences()) == {
        "files that are not Markdown, JSON or CSV were left out, such as a.png (2 times)",
        "links were left out, such as link.md (1 time)",
        "files whose path leads outside the folder were left out, such as ../evil.md (4 times)",
        "nested zips, which have to be unpacked and imported one by one, were left out, such as inner.zip (1 time)",
        "files that belong to programs, as in .obsidian or __MACOSX, were left out, such as __MACOSX/x.md (2 times)",
    }


def test_a_zip_without_a_text_says_what_it_holds(path: Path) -> None:
    with pytest.raises(Invalid, match=r"contains no Markdown, JSON or CSV file: nested zips, .* \(1 time\)\.$"):
        read(zipped(path, {"Part-1.zip": "x"}))
    with pytest.raises(
        Invalid, match=r"such as Kaffee\.txt \(2 times\)\. Give files of plain text names that end in \.md"
    ):
        read(zipped(path, {"Kaffee.txt": "x", "a.html": "<p>"}))


def test_what_claude_remembers_is_read_beside_its_conversations(path: Path) -> None:
    remembered = {
        "conversations_memory": "**Work**\n\nAnna is a baker.\n\n**Home**\n\nShe has a **big** cat.",
        "project_memories": {"p-1": "Sourdough."},
        "account_uuid": "a-1",
    }
    others = {"users.json": "[]", "projects/p-1.json": "{}"}
    for name, content in (("memories.json", [remembered]), ("memories/a-1.json", remembered)):
        warnings = Warnings()
        zipped(path, {"conversations.json": json.dumps([CLAUDE]), name: json.dumps(content), **others})
        _, *lines = read(path, warnings=warnings)
        assert [line.content for line in lines] == [
            "**Work**\n\nAnna is a baker.", "**Home**\n\nShe has a **big** cat.", "Sourdough.",
        ]  # fmt: skip
        assert lines[2].metadata == {"source": "claude", "project": "p-1"}
        assert [sentence[-9:] for sentence in warnings.sentences() if "other than" in sentence] == ["(2 times)"]


def test_memories_of_claude_without_a_text_are_nothing(path: Path) -> None:
    assert texts(path, json.dumps([{"conversations_memory": None, "project_memories": None}])) == []


def test_the_other_files_of_a_chat_are_counted(path: Path) -> None:
    warnings = Warnings()
    zipped(path, {"conversations.json": json.dumps([chat()]), "users.json": "{}", "a.png": ""})
    assert len(read(path, warnings=warnings)) == 2
    assert {sentence.partition(" were left out")[0] for sentence in warnings.sentences()} == {
        "tool calls and their results in chats",
        "files other than conversations",
        "files that are not Markdown, JSON or CSV",
    }


def test_links_and_tables_without_texts_in_a_folder_are_counted(path: Path) -> None:
    path.mkdir()
    (path / "a.md").write_text("tea")
    (path / "b.md").symlink_to(path / "a.md")
    (path / "Tasks.csv").write_text("Name,Status\ntea,done\n")
    warnings = Warnings()
    assert [line.content for line in read(path, warnings=warnings)] == ["tea"]
    assert {sentence.partition(" were left out")[0] for sentence in warnings.sentences()} == {
        "links",
        "tables without a column named content, memory or text",
    }


SETTINGS = {
    "of a program": json.dumps({"version": 2, "type": "board"}),
    "a schema": json.dumps({"$schema": "s", "title": "Page", "properties": {"id": {"type": "string"}}}),
    "within an object": json.dumps({"view": {"width": 3}}),
    "nothing": "{}",
}


@pytest.mark.parametrize("form", SETTINGS)
def test_settings_beside_notes_are_counted(path: Path, form: str) -> None:
    warnings = Warnings()
    files = {"a/info.json": SETTINGS[form], "a/text.md": "tea"}
    assert [line.content for line in read(zipped(path, files), warnings=warnings)] == ["tea"]
    assert "JSON files without memories were left out, such as a/info.json" in warnings.sentences()[0]


@pytest.mark.parametrize("content", ['{"memories": [{"a": 1}, {"b": 2}]}', '{"a": 1}\n{"b": 2}', '[{"a": 1}]', '{"a"'])
def test_what_may_be_memories_beside_notes_is_refused_if_it_cannot_be_read(path: Path, content: str) -> None:
    with pytest.raises(Invalid, match=r"b\.json"):
        read(zipped(path, {"a.md": "tea", "b.json": content}))


def test_a_memory_in_a_file_of_its_own_is_read_beside_notes(path: Path) -> None:
    files = {"a.md": "tea", "b.json": '{"content": "milk"}', "c.json": json.dumps({"memories": [{"text": "rice"}]})}
    assert texts(zipped(path, files)) == ["tea", "milk", "rice"]


def test_a_place_in_a_file_of_a_folder_names_the_file(path: Path) -> None:
    path.mkdir()
    (path / "a.jsonl").write_text('{"content": "tea"}\n{"content": " "}')
    with pytest.raises(Invalid, match=r"^a\.jsonl: line 2: content: must not be blank"):
        read(path)


def test_no_name_in_a_zip_controls_a_terminal(path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        read(zipped(path, {"\x1b[2Ja.json": "{}"}))
    assert refused.value.detail.startswith("[2Ja.json: line 1: content: is required.")


def test_a_name_is_utf_8_even_if_the_zip_does_not_say_so(path: Path) -> None:
    """macOS writes such zips. Other programs write names in the encoding of old PCs."""
    names = ["Größe 大小.md".encode(), b"caf\x82.md"]
    content = zipped(path, {f"{number}" * len(name): "tea" for number, name in enumerate(names)}).read_bytes()
    for number, name in enumerate(names):
        content = content.replace(f"{number}".encode() * len(name), name)
    assert [line.metadata["file"] for line in read(path, content)] == ["Größe 大小.md", "café.md"]


def test_an_encrypted_file_is_named(path: Path) -> None:
    content = bytearray(zipped(path, {"a.md": "tea"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Invalid, match=r"^a\.md: is encrypted\. Unpack the zip with its password"):
        read(path, bytes(content))


@pytest.mark.parametrize("name", ["[Content_Types].xml", "mimetype"])
def test_an_office_document_is_not_taken_for_a_zip_of_notes(path: Path, name: str) -> None:
    with pytest.raises(Invalid, match=r"an office document or an e-book\. Save its text as a Markdown file"):
        read(zipped(path, {name: "x", "word/document.xml": "x"}))


@pytest.mark.parametrize("name", ["MyActivity.html", "My Activity.html"])
def test_activities_of_google_as_html_are_refused_with_what_to_choose(path: Path, name: str) -> None:
    with pytest.raises(Invalid, match=r"activities as HTML, for which Google Takeout has JSON,"):
        read(zipped(path, {f"Takeout/My Activity/Gemini Apps/{name}": "<html>"}))


@pytest.mark.parametrize("encoding", ["shift_jis", "gbk", "big5", "cp437", "cp866"])
def test_a_file_whose_name_is_in_an_old_encoding_is_read_and_its_name_doubted(path: Path, encoding: str) -> None:
    """Windows packs files so. The second byte of some Chinese and Japanese characters is that of a backslash."""
    name = {"cp437": "M\u00fcller", "cp866": "Чай", "gbk": "乗", "big5": "功"}.get(encoding, "表").encode(encoding)
    zipped(path, {"#" * len(name) + ".md": "tea", "folder\\b.md": "milk"})
    path.write_bytes(path.read_bytes().replace(b"#" * len(name), name))
    warnings = Warnings()
    lines = read(path, warnings=warnings)
    assert sorted(line.content for line in lines) == ["milk", "tea"]
    assert "folder/b.md" in [line.metadata["file"] for line in lines]
    assert [one.partition(",")[0] for one in warnings.sentences()] == [
        "names of files that are not in UTF-8 may be wrong"
    ]
