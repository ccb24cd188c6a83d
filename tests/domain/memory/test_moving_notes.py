"""Imports of Markdown notes: their front matter, headings and names."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.moments import UNREAD
from server.domain.memory.exchange.sources import Format, checked, read_path
from server.errors import Invalid
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
        ("tags: [3.10, yes, on, true]\npeople: no", {"tags": ["3.10", "yes", "on", "true"], "people_mentioned": "no"}),
        ("v: 1.10\ndone: no\nok: true\nx: 2.0", {"v": "1.10", "done": "no", "ok": True, "x": 2.0}),
        ("tag: a\ntags: [b]\nempty:", {"tags": ["b"], "tag": "a"}),
        ("Tags: [a]\nTopic_Category: b\nAliases: c", {"tags": ["a"], "topic_category": "b", "aliases": "c"}),
        ("Tags: [a]\ntags: [b]", {"tags": ["b"], "Tags": ["a"]}),
        ("people: '[[Anna]], [[People/Ben Li|Ben]]'", {"people_mentioned": "Anna, Ben Li"}),
        ("people:\n  - '[[Anna]]'\n  - Li, B", {"people_mentioned": ["Anna", "Li, B"]}),
        ("people: [[Anna]]\nup: [[Home]]", {"people_mentioned": ["Anna"], "up": [["Home"]]}),
        ("tags: '#trip #rome'\ncategory: '[[Travel#2024]]'", {"tags": "trip, rome", "topic_category": "Travel"}),
        ("tags: ['#trip', c#, 7]", {"tags": ["trip", "c#", "7"]}),
        ("tags: '# trip, #, #rome'", {"tags": "trip, rome"}),
        ("book: Dune: Part Two\ntags: [sci-fi]\nn: 5", {"book": "Dune: Part Two", "tags": ["sci-fi"], "n": 5}),
        (
            "up: [[Home]], [[Work]]\nby: @anna\nrate: 5%: high",
            {"up": "[[Home]], [[Work]]", "by": "@anna", "rate": "5%: high"},
        ),
        (
            "aliases:\n  - Dune: the: film\n  - plain\nsaid: *no*",
            {"aliases": ["Dune: the: film", "plain"], "said": "*no*"},
        ),
        ('quote: "Yes" she said\ntags: a', {"quote": '"Yes" she said', "tags": "a"}),
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


def test_front_matter_may_end_with_dots(path: Path) -> None:
    path.mkdir()
    (path / "rome.md").write_text("---\ntags: [trip]\n...\n# Rome\n\n---\nNice.")
    (path / "talk.md").write_text("---\nWell\n...\nshe said.")
    rome, talk = read(path)
    assert (rome.content, rome.metadata["tags"]) == ("# Rome\n\n---\nNice.", ["trip"])
    assert talk.content == "---\nWell\n...\nshe said."


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


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Likes tea.\nLives in Rome, Italy.", "write the word content into a first line"),
        ("[02.01.24, 10:00:00] Anna: Hi\n", "write the word content into a first line"),
        ("[ ] Buy milk\n[x] Call Anna\n", "write the word content into a first line"),
        ("[Rome](https://example.com) is nice.\n", "write the word content into a first line"),
        ("{{ name }} likes tea.\n", "write the word content into a first line"),
        ("<p>tea</p>", "Convert HTML"),
    ],
)
def test_plain_text_and_markup_are_refused_with_what_to_do(path: Path, text: str, advice: str) -> None:
    with pytest.raises(Invalid, match=rf"is in no known format: .*{advice}"):
        read(path, text)


def test_plain_text_is_imported_as_the_refusal_says(tmp_path: Path) -> None:
    text = 'Likes tea.\nLives in Rome, Italy.\nSays "hi"; often.\nTea | coffee.\tBoth.\n'
    assert texts(tmp_path / "list.txt", f"content\n{text}") == text.splitlines()
    assert texts(tmp_path / "note.md", text) == [text.strip()]


@pytest.mark.parametrize(
    ("created", "updated"), [("Created", "lastmod"), ("created-at", "updated_at"), ("createdAt", "Last-Modified")]
)
def test_the_names_that_programs_give_to_times_are_known(path: Path, created: str, updated: str) -> None:
    (line,) = read(path, f"---\nTitle: Rome\n{created}: 2024-01-05\n{updated}: 1706745600000\n---\nMet Anna.")
    assert (line.created_at.month, line.updated_at.month) == (1, 2)
    assert line.metadata == {"title": "Rome", "file": "given", "aliases": ["given"]}


def test_the_dates_that_a_linter_adds_are_read(path: Path) -> None:
    head = "date created: Friday, January 5th 2024, 3:22:11 pm\ndate modified: 2024-02-01\nby: Anna"
    (line,) = read(path, f"---\n{head}\n---\nMet Anna.")
    assert (str(line.created_at), line.updated_at.month) == ("2024-01-05 15:22:11+00:00", 2)
    assert line.metadata.keys() == {"title", "file", "by"}


def test_a_time_of_a_note_that_cannot_be_read_stays_in_its_metadata(path: Path) -> None:
    warnings = Warnings()
    head = "created_at: 07-01-2024 06:24 PM\nupdated: soon\ntags: [a]"
    (line,) = read(path, f"---\n{head}\n---\nMet Anna.", warnings=warnings)
    assert line.created_at.year != 2024
    assert (line.metadata["created_at"], line.metadata["updated"]) == ("07-01-2024 06:24 PM", "soon")
    assert warnings.sentences() == [f"{UNREAD}, such as given (2 times)"]


def test_an_empty_field_of_a_template_is_as_left_out(path: Path) -> None:
    warnings = Warnings()
    (line,) = read(path, "---\ncreated: ''\nuser_id: ''\npinned: ''\nexpires_at: ''\n---\ntea", warnings=warnings)
    assert (line.user_id, set(line.metadata), warnings.sentences()) == (None, {"title", "file"}, [])


def test_a_second_time_of_a_note_stays_in_its_metadata_without_a_word(path: Path) -> None:
    warnings = Warnings()
    (line,) = read(path, "---\ncreated: 2024-01-05\ndate: 2024-02-01\n---\nMet Anna.", warnings=warnings)
    assert (line.created_at.month, line.metadata["date"], warnings.sentences()) == (1, "2024-02-01", [])


def test_files_of_joplins_raw_export_are_refused_with_what_to_export(tmp_path: Path) -> None:
    foot = f"id: {'0123456789abcdef' * 2}\nparent_id: \ncreated_time: 2024-01-02T10:00:00.000Z\ntype_: 1"
    with pytest.raises(Invalid, match=r"^This is a file of Joplin's RAW export\. .* Markdown \+ Front Matter"):
        read(tmp_path / "a.md", f"Shopping\n\nmilk\n\n{foot}")


def test_properties_of_notion_become_labels_and_times_and_stay_in_the_text(tmp_path: Path) -> None:
    properties = (
        "Status: Done\nTags: 旅行, food\nCreated time: January 5, 2024 3:22 PM\nCategory: Trips\nURL: https://a.org/"
    )
    (line,) = read(tmp_path / f"Rome {'0123456789abcdef' * 2}.md", f"# Rome\n\n{properties}\n\nDate: 2023-01-01")
    assert line.content == f"# Rome\n\n{properties}\n\nDate: 2023-01-01"
    assert str(line.created_at) == "2024-01-05 15:22:00+00:00"
    assert line.metadata.keys() == {"title", "file", "tags", "topic_category"}
    assert (line.metadata["tags"], line.metadata["topic_category"]) == ("旅行, food", "Trips")
    (line,) = read(tmp_path / "Rome.md", f"# Rome\n\n{properties}")
    assert line.metadata.keys() == {"title", "file"}


def test_properties_of_logseq_are_metadata_and_its_ids_are_no_text(tmp_path: Path) -> None:
    block = f"- Likes tea\n  id:: {'6' * 8}-0000-4000-8000-{'0' * 12}\n  collapsed:: true\n\t- green:: yes\n"
    (line,) = read(tmp_path / "Anna.md", f"alias:: Ann\ntags:: [[people]], friends\nempty::\n\n{block}")
    assert line.content == "- Likes tea\n\t- green:: yes"
    assert line.metadata == {"title": "Anna", "file": "Anna.md", "alias": "Ann", "tags": "people, friends"}


def test_toml_between_plus_signs_is_front_matter_as_in_hugo(tmp_path: Path) -> None:
    head = (
        'title = "Rome"\ndate = 2024-05-01T10:30:00+02:00\ntags = ["#trip", "food"]\ndraft = false\n[image]\nn = 1.5\n'
    )
    (line,) = read(tmp_path / "Rome.md", f"+++\r\n{head}+++\r\n\r\nNice.\n")
    assert (line.content, line.created_at) == ("Nice.", datetime(2024, 5, 1, 8, 30, tzinfo=UTC))
    assert line.metadata == {
        "title": "Rome", "file": "Rome.md", "tags": ["trip", "food"], "draft": False, "image": {"n": 1.5},
    }  # fmt: skip


@pytest.mark.parametrize("head", ["title: Rome", "x = nan", "x = " + "[" * 9_000, ".".join("a" * 50_000) + " = 1"])
def test_toml_that_cannot_be_read_stays_in_the_text_and_takes_no_time(path: Path, head: str) -> None:
    warnings = Warnings()
    began = time.monotonic()
    first, *_ = read(path, f"+++\n{head}\n+++\nNice.\n", warnings=warnings)
    assert time.monotonic() - began < 2
    assert first.content.startswith("+++")
    (sentence,) = warnings.sentences()
    assert sentence.startswith("front matter that is not TOML, or is too large for metadata, stays in the text")


@pytest.mark.parametrize(
    "head",
    [
        "summary: " + "x" * 20_000, "\n".join(f"k{number}: v" for number in range(63)), "tags: {a: b}",
        f"tags: [{', '.join(map(str, range(101)))}]", "a: " + "[" * 40 + "]" * 40,
    ],
    ids=["long", "many keys", "no tags", "many tags", "deep"],
)  # fmt: skip
def test_front_matter_that_no_metadata_can_hold_stays_in_the_text(tmp_path: Path, head: str) -> None:
    warnings = Warnings()
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "a.md").write_text("tea")
    (tmp_path / "vault" / "b.md").write_text(f"---\n{head}\n---\ntea")
    lines = read(tmp_path / "vault", warnings=warnings)
    assert (lines[0].content, lines[1].content[:3], lines[-1].content[-3:]) == ("tea", "---", "tea")
    assert lines[-1].metadata.keys() == {"title", "file"}
    (sentence,) = warnings.sentences()
    assert sentence.startswith("front matter that is not YAML, or is too large for metadata, stays in the text")


def test_a_pin_or_an_expiry_that_is_none_stays_in_the_metadata(path: Path) -> None:
    warnings = Warnings()
    (line,) = read(path, "---\npinned: at the top\nexpires_at: soon\n---\ntea", warnings=warnings)
    assert (line.pinned, line.expires_at) == (False, None)
    assert (line.metadata["pinned"], line.metadata["expires_at"]) == ("at the top", "soon")
    assert warnings.sentences() == [f"{UNREAD}, such as given (1 time)"]
