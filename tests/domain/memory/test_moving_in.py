"""Imports recognize the format of a file by its content. A repeated import stores nothing."""

import json
from pathlib import Path

import pytest

from server.domain.memory.duplicates import OnDuplicate
from server.domain.memory.exchange import json_values
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.imports import import_memories
from server.errors import Invalid
from tests.support.moving import AT, CLAUDE, GRAPH, chat, read, texts
from tests.support.world import World


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


PLAIN = {
    "an object": json.dumps({"content": "tea"}),
    "a printed object": json.dumps({"memory": "tea", "metadata": {"a": 1}}, indent=2),
    "a list": json.dumps([{"text": "tea"}]),
    "documents of LangChain": json.dumps([{"page_content": "tea", "metadata": {"page": 1}, "type": "Document"}]),
    "documents of LangChain in JavaScript": json.dumps([{"pageContent": "tea", "metadata": {}}]),
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
    "messages without text": json.dumps(
        {"messages": [{"role": "user", "content": "tea"}, {"role": "assistant", "tool_calls": [{"id": "call_1"}]}]}
    ),
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
