"""Notes of other programs: their front matter, headings and names."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.sources import Format, checked, read_path
from tests.support.moving import read, texts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


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


@pytest.mark.parametrize(
    ("front_matter", "metadata"),
    [
        ("category: [x, y]\ndate: 2099-01-01", {"category": ["x", "y"], "date": "2099-01-01"}),
        ("created: 2024-05-01\ndate: 2024-05-02\nupdated: soon", {"date": "2024-05-02", "updated": "soon"}),
        ("tags: 2024\npeople: {a: 1}", {"tags": ["2024"], "people": {"a": 1}}),
        ("at: 10:30\nzip: 01234\nn: -7\nx: 1.5", {"at": "10:30", "zip": "01234", "n": -7, "x": 1.5}),
        ("tag: a\ntags: [b]\nempty:", {"tags": ["b"], "tag": "a"}),
        ("people: '[[Anna]], [[People/Ben Li|Ben]]'", {"people_mentioned": "Anna, Ben Li"}),
        ("people:\n  - '[[Anna]]'\n  - Li, B", {"people_mentioned": ["Anna", "Li, B"]}),
        ("people: [[Anna]]\nup: [[Home]]", {"people_mentioned": ["Anna"], "up": [["Home"]]}),
        ("tags: '#trip #rome'\ncategory: '[[Travel#2024]]'", {"tags": "trip, rome", "topic_category": "Travel"}),
        ("tags: ['#trip', c#, 7]", {"tags": ["trip", "c#", "7"]}),
        ("tags: '# trip, #, #rome'", {"tags": "trip, rome"}),
    ],
)
def test_front_matter_of_others_is_kept_as_it_is_meant(path: Path, front_matter: str, metadata: dict[str, Any]) -> None:
    path.mkdir()
    (path / os.fsdecode(b"caf\xe9.md")).write_text(f"---\n{front_matter}\n---\ntea")
    (line,) = read(path)
    assert line.metadata == {"title": "caf\ufffd", "file": "caf\ufffd.md", **metadata}


LONG = 30_000


@pytest.mark.parametrize(
    "note",
    [
        f"# a{' ' * LONG}b\n",
        f"# a{' #' * LONG}b\n",
        f"---\ntags: '{'[[' * LONG}'\n---\ntea",
        f"---\ntags: '[[{'a/' * LONG}'\n---\ntea",
        f"---\ntags: '{'[[a/' * LONG}'\n---\ntea",
        f"---\ntags: '[[{'a|' * LONG}'\n---\ntea",
    ],
)
def test_a_long_line_takes_no_longer_than_its_length_asks(path: Path, note: str) -> None:
    """One regular expression holds up every thread of the server until it ends."""
    path.mkdir()
    (path / "a.md").write_text(note)
    began = time.process_time()
    list(read_path(path, Warnings()))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("line", "heading"),
    [("# Rome #", "Rome"), ("## Rome ##  ", "Rome"), ("#\t Rome", "Rome"), ("# a # b #", "a # b"), ("# #", "#")],
)
def test_a_heading_ends_before_its_closing_marks(path: Path, line: str, heading: str) -> None:
    path.mkdir()
    (path / "a.md").write_text(f"{line}\n{'tea ' * 3_000}")
    assert {one.metadata["heading"] for one in read(path)} == {heading}


def test_empty_front_matter_is_not_text(path: Path) -> None:
    assert texts(path, "---\n---\ntea") == ["tea"]


@pytest.mark.parametrize(
    "text", ["Text, and more\ntea", "| Content | Price |\n|---|---|\n| tea | 3 |", "Memory\n\ntea"]
)
def test_a_note_is_not_a_table(tmp_path: Path, text: str) -> None:
    assert texts(tmp_path / "note.md", text) == [text]


def test_invisible_notes_and_parts_are_left_out(path: Path) -> None:
    path.mkdir()
    (path / "a.md").write_text("\u200b\n\ufeff")
    (path / "b.md").write_text(f"\u200b\n# Tea\n{'tea ' * 2_500}")
    warnings = Warnings()
    assert [line.metadata["heading"] for line in read(path, warnings=warnings)] == ["Tea", "Tea"]
    assert warnings.sentences() == ["files without text were left out, such as a.md (1 time)"]


def test_front_matter_that_would_grow_is_not_unpacked(path: Path) -> None:
    path.write_text("---\na: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n---\nText.\n")
    assert texts(path)[0].startswith("---")


def test_headings_cut_a_long_file(path: Path) -> None:
    body = "Before.\n" + "".join(f"## Part {n}\n" + "Some words here. " * 200 + "\n" for n in range(4))
    lines = read(path, f"---\ntitle: Long\n---\n{body}```\n# no heading\n```\n")
    assert [line.metadata.get("heading") for line in lines] == [None, "Part 0", "Part 1", "Part 2", "Part 3"]
    assert "# no heading" in lines[-1].content


def test_a_forced_format_is_read_as_that(path: Path) -> None:
    path.write_text("just some words")
    (line,) = checked(read_path(path, Warnings(), Format.MARKDOWN))
    assert line.content == "just some words"
