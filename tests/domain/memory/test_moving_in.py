"""What people bring from elsewhere is recognized by its content, and a second time nothing is stored."""

import json
from pathlib import Path

import pytest

from server.domain.memory.duplicates import OnDuplicate
from server.domain.memory.exchange import archive, json_values
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.sources import Format, checked, read_path
from server.domain.memory.imports import import_memories
from server.errors import Invalid
from tests.support.moving import AT, read, texts, zipped
from tests.support.world import World


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


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
    assert warnings.sentences() == ["expiration_date: is not a field"]


def test_the_files_that_are_left_out_are_counted(path: Path) -> None:
    files = {
        "a.md": "one",
        "b.pdf": "",
        "c/d.zip": "",
        "../evil.md": "x",
        ".obsidian/app.json": "{",
        "__MACOSX/a.md": "",
    }
    warnings = Warnings()
    assert len(read(zipped(path, files), warnings=warnings)) == 1
    assert warnings.sentences() == [
        "a file that is no Markdown, JSON or CSV was left out (2 times)",
        "a file whose name leads out of the zip was left out",
    ]
    path.unlink()
    path.mkdir()
    (path / "note.md").write_text("one")
    (path / "link.md").symlink_to(path / "note.md")
    warnings = Warnings()
    assert len(read(path, warnings=warnings)) == 1
    assert warnings.sentences() == ["a link was not followed"]


def test_a_text_that_is_too_long_is_told_how_long_it_is(path: Path) -> None:
    for length in (10_001, 12_000_000):
        with pytest.raises(Invalid) as refused:
            read(path, json.dumps({"content": "x" * length}))
        assert f"content: has {length:,} characters, and a memory may have 10,000: split it" in refused.value.detail


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
    for damaged in (content[:40] + b"\xff" * 10 + content[50:], content[:-30], content[:60]):
        with pytest.raises(Invalid, match="This zip is damaged"):
            read(path, bytes(damaged))


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
    with pytest.raises(Invalid, match="item 1: has more than"):
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
