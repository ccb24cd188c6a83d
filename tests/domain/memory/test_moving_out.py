"""An import of an export gives the same memories, in every format."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
import yaml

from server.domain.memory import memories
from server.domain.memory.exchange.entries import LABEL_FIELDS, Warnings
from server.domain.memory.exchange.export import WRITERS, ExportFormat, write_export
from server.domain.memory.exchange.lines import Line
from server.domain.memory.exchange.markdown import read_markdown, write_markdown
from server.domain.memory.exchange.sources import checked, read_path
from server.domain.memory.exchange.table import COLUMNS
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import Message, NewMemory
from server.models.base import JsonObject
from tests.support.world import World

HARD: list[JsonObject] = [
    {"tags": "a b,c", "deep": {"list": [1, 2.5, None]}, "=x": "=y", "id": "mine"},
    {"tags": ["x, y", "true", "1"], "people_mentioned": '["Li", "Bo"]', "topic_category": "[draft"},
    {"tags": "[x] and y", "people_mentioned": [], "topic_category": '["z"]'},
    {"tags": None, "people_mentioned": "", "topic_category": None, "none": None, "empty": [{}, [], ""]},
    {"tags": "yes", "topic_category": "", "Date": "2024-01-01", "CREATED": 5, "Tag": "t", "metadata": {"a": None}},
    {
        "day": "2024-01-01",
        "int": "012",
        "float": "1e3",
        "bool": "no",
        "null": "~",
        "alias": "*a",
        "merge": {"<<": "<<"},
    },
    {"big": 1e300, "small": -1e-7, "whole": 10**30, "zero": -0.0, "true": True, "version": "7", "history": []},
    {"text": "a\r\n---\nb ", "nested": ["\n---\n", " x\n y", "\x01\x7f\x85\u2028\ufeff\uffff🎈"], "k\n: -": "# x"},
    {"lines": {"a": {"b": {"c": ["x\ny\n" * 2_000]}}}},
    {"dense": [[[[[[1, "'"] * 900]]]]]},
]
TEXTS = [
    "=1+1", "'quoted", "-", "'", 'two\nlines, and; "more"', "---\ntags: x\n---\nhead", "żółć 🎈 ", "\r\nlines\r\n",
    " \t blank \n\n", "\x01\x0b\x1c\x7f\x85\u2028\ufeffx\rend\r",
]  # fmt: skip


@pytest.mark.parametrize("wanted", ExportFormat)
def test_what_goes_out_comes_in_as_the_same(world: World, tmp_path: Path, wanted: ExportFormat) -> None:
    for text, metadata in zip(TEXTS, HARD, strict=True):
        changed = world.add(text, metadata=metadata, user_id="'=me ")
    world.update(changed, "changed")
    with world.database.write() as session:
        messages = [Message(role="user", content="---\n🎈\x01\x7f\u2028 y\r\n" * 30)] * 100
        new = NewMemory(messages=messages, project_id=world.project_id)
        memories.add(session, world.principal, new, world.index)
    path = tmp_path / "exported"
    path.write_bytes(out(world, wanted))
    other = world.another_project()
    warnings = Warnings()
    lines = list(checked(read_path(path, warnings)))
    assert import_memories(other.database, other.project_id, lines, other.index) == (len(HARD) + 1, 0, 0)
    assert comparable(out(other, ExportFormat.JSONL), wanted) == comparable(out(world, ExportFormat.JSONL), wanted)
    assert warnings.sentences() == []


@pytest.mark.parametrize("wanted", ExportFormat)
@pytest.mark.parametrize("text", ["x" * 10_000, "---\n🎈\x01\uffff\u2028 y\r\n" * 800], ids=["plain", "hard"])
def test_the_longest_conversation_is_one_memory(tmp_path: Path, wanted: ExportFormat, text: str) -> None:
    messages = [Message(role="r" * 50, content=text)] * 100
    content = NewMemory(messages=messages).text
    line = Line(id="mem_1", content=content, messages=messages, metadata={"a": "\n" * 8_000})
    path = tmp_path / "exported"
    with path.open("wb") as file:
        WRITERS[wanted](iter([line.model_dump_json()]), file)
    (read,) = checked(read_path(path, Warnings()))
    assert read.model_copy(update={"id": "mem_1"}) == line


def test_an_exported_note_that_was_edited_is_read_as_it_says_now() -> None:
    record = {"id": "mem_1", "content": "tea", "created_at": "2024-01-01T00:00:00Z", "metadata": {"tags": "a, b"}}
    _, text = write_markdown(record)
    (same,) = read_markdown("a.md", text, Warnings())
    assert same.fields["metadata"] == {"tags": "a, b"}
    (changed,) = read_markdown("a.md", text.replace("- b", "- 7"), Warnings())
    assert changed.fields["metadata"] == {"tags": ["a", "7"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("हिन्दी में: चाय?", "हिन्दी में चाय"),
        ("น้ำชา", "น้ำชา"),
        ('a/b\\c:"d"*<e>|f\n..', "a b c d e f"),
        ("\U00020000" * 99, "\U00020000" * 50),
    ],
)
def test_a_file_is_named_after_its_first_words(content: str, words: str) -> None:
    name, _ = write_markdown({"id": "mem_12345678", "content": content, "created_at": "2024-01-01T00:00:00Z"})
    assert name == f"2024-01-01 {words} 12345678.md"


def test_a_file_of_a_note_is_named_after_its_title_and_has_it_in_front() -> None:
    record = {"id": "mem_12345678", "content": "Bring a hat.", "created_at": "2024-01-01T00:00:00Z"}
    name, text = write_markdown(record | {"metadata": {"title": "Trips: Rome"}})
    assert name == "2024-01-01 Trips Rome 12345678.md"
    (entry,) = read_markdown("a.md", text, Warnings())
    assert (entry.fields["content"], entry.fields["metadata"]) == ("Bring a hat.", {"title": "Trips: Rome"})


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("2024-01-01", "2024-01-01 12345678.md"),
        ("2024-01-01 Monday", "2024-01-01 Monday 12345678.md"),
        ("2024-01-02", "2024-01-01 2024-01-02 12345678.md"),
    ],
)
def test_a_file_of_a_daily_note_has_its_day_once(title: str, name: str) -> None:
    record = {"id": "mem_12345678", "content": "Tea.", "created_at": "2024-01-01T00:00:00Z"}
    assert write_markdown(record | {"metadata": {"title": title}})[0] == name


def test_a_conversation_of_an_earlier_export_is_whole_too() -> None:
    messages = [{"role": "user", "content": "x\n" * 4_000} for _ in range(20)]
    head = yaml.safe_dump({"id": "mem_1", "created_at": "2024-01-01T00:00:00Z", "messages": messages})
    (entry,) = read_markdown("a.md", f"---\n{head}---\ntea\n", Warnings())
    assert (entry.fields["messages"], entry.fields["content"]) == (messages, "tea")


def test_a_table_has_every_field_but_the_history_and_who_changed_it_last() -> None:
    assert set(COLUMNS) == set(Line.model_fields) - {"history", "updated_source"} | set(LABEL_FIELDS)


@pytest.mark.sqlite_only
@pytest.mark.parametrize("wanted", ExportFormat)
def test_every_format_says_through_what_a_memory_came(world: World, tmp_path: Path, wanted: ExportFormat) -> None:
    memory_id = world.add("tea", metadata={"source": "https://example.com"})
    path = tmp_path / "exported"
    path.write_bytes(out(world, wanted))
    (line,) = checked(read_path(path, Warnings()))
    assert line.source == world.memory(memory_id).source
    assert line.metadata == {"source": "https://example.com"}


@pytest.mark.sqlite_only
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_of_a_table_is_a_formula(world: World, tmp_path: Path, sign: str) -> None:
    memory_id = world.add(f"{sign}HYPERLINK(1)", user_id="@ann")
    path = tmp_path / "exported"
    path.write_bytes(out(world, ExportFormat.CSV))
    with path.open(newline="", encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["content"], row["user_id"]) == (f"'{sign}HYPERLINK(1)", "'@ann")
    (line,) = checked(read_path(path, Warnings()))
    assert line.content == world.memory(memory_id).content


def test_every_cell_of_a_table_is_quoted(world: World) -> None:
    """LibreOffice also splits at semicolons and tabs, and a part could be a formula."""
    world.add("one;=1+1\ttwo", metadata={"tags": ["a;b"]})
    unquoted = re.sub(r'"(?:[^"]|"")*"', "", out(world, ExportFormat.CSV).decode("utf-8-sig"))
    assert unquoted == f"{',' * (len(COLUMNS) - 1)}\r\n" * 2


def out(world: World, wanted: ExportFormat) -> bytes:
    file = io.BytesIO()
    with world.database.read() as session:
        write_export(session, world.project_id, file, export_format=wanted)
    return file.getvalue()


def comparable(exported: bytes, wanted: ExportFormat) -> list[JsonObject]:
    """Return the lines without ids and sources, and without earlier versions if the format leaves them out."""
    lines = [json.loads(line) for line in exported.splitlines()]
    for line in lines:
        for part in (line, *line.get("history", [])):
            for name in ("id", "source", "updated_source"):
                part.pop(name, None)
        if wanted is not ExportFormat.JSONL:
            line.pop("history", None)
    return lines
