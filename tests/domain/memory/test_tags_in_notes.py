"""Tags in the text of an imported note, as Obsidian and Logseq read them."""

import time
from pathlib import Path

import pytest

from server.domain.memory.exchange.markdown import write_markdown
from tests.support.moving import read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return tmp_path / "given" / "note.md"


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("Pack a hat. #trip", ["trip"]),
        ("#trip\n\t#food and #Trip, #y2024.", ["trip", "food", "y2024"]),
        ("- [ ] pay #work/invoices/ now", ["work/invoices"]),
        ("#snake_case #kebab-case #दिन #旅行", ["snake_case", "kebab-case", "दिन", "旅行"]),
        ("# Heading\n## More", None),
        ("see #123, #2024-01-05, https://a.org/#trip, a#b, C# and ##x", None),
        ("```\n#include <x>\n```\n~~~sh\n#!/bin/sh #no\n~~~", None),
        ("`#no` and ``a ` #no``", None),
        ("[[Rome#trip]] (#trip) \\#trip", None),
        ("```\n#no\n```\n#yes", ["yes"]),
        ("`` ` `` #yes", ["yes"]),
        ("#" + "x" * 60, None),
        (" ".join(f"#t{number}" for number in range(500)), [f"t{number}" for number in range(50)]),
    ],
)
def test_they_are_tags_but_not_in_code_addresses_or_numbers(path: Path, text: str, tags: list[str] | None) -> None:
    path.write_text(text)
    (line,) = read(path.parent)
    assert line.metadata.get("tags") == tags
    assert line.content == text


@pytest.mark.parametrize(
    ("head", "tags"),
    [
        ("tags: [Rome, food]", ["Rome", "food", "trip"]),
        ("tags: Rome, food", "Rome, food, trip"),
        ("tags: [Trip, food]", ["Trip", "food"]),
        ("tags: [Trip, trip]", ["Trip", "trip", "food"]),
        ("tags: ''", "trip, food"),
        (f"tags: [{', '.join(f't{number}' for number in range(100))}]", [f"t{number}" for number in range(100)]),
    ],
)
def test_they_follow_those_of_the_front_matter(path: Path, head: str, tags: list[str] | str) -> None:
    path.write_text(f"---\n{head}\n---\nPack a hat. #trip #food")
    (line,) = read(path.parent)
    assert line.metadata["tags"] == tags


def test_a_part_of_a_long_note_has_its_own(path: Path) -> None:
    path.write_text(f"# One\n#a\n{'tea ' * 2_000}\n# Two\n#b\n{'tea ' * 2_000}")
    assert [line.metadata["tags"] for line in read(path.parent)] == [["a"], ["b"]]


def test_an_own_export_keeps_its_tags(path: Path) -> None:
    record = {"id": "mem_12345678", "content": "Pack a #hat", "created_at": "2024-01-01T00:00:00Z", "metadata": {}}
    path.write_text(write_markdown(record)[1])
    (line,) = read(path.parent)
    assert line.metadata == {}


@pytest.mark.parametrize("unit", ["`", "#", "# ", "#a", "`#a", " #a`", "#a/", "``` ", "\n#a", "#\u0301"])
def test_they_are_found_in_a_time_that_grows_with_the_text(path: Path, unit: str) -> None:
    path.write_text(unit * (9_000 // len(unit)))
    began = time.process_time()
    read(path.parent)
    assert time.process_time() - began < 1
