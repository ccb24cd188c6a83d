"""The names of imported notes: of their files, and in their front matter."""

from pathlib import Path

import pytest

from tests.support.moving import read


@pytest.mark.parametrize(
    "name",
    [
        "2024-01-05", "2024_01_05", "2024-01-05 Meeting with Anna", "2024.01.05", "20240105", "202401051030 Tea",
        "Jan 5th, 2024", "5 January 2024", "Friday, January 5th 2024", "05.01.2024", "2024年1月5日", "2024년 1월 5일",
    ],
)  # fmt: skip
def test_a_daily_note_is_of_its_day(tmp_path: Path, name: str) -> None:
    (line,) = read(tmp_path / f"{name}.md", "Met Anna.")
    assert line.created_at.isoformat() == "2024-01-05T00:00:00+00:00"


@pytest.mark.parametrize(
    "name",
    [
        "2999-01-05",
        "2024-13-45",
        "2024-01-055",
        "20240199",
        "1704448800",
        "Tea 2024",
        "in May 2024",
        "1984",
        "2024",
        "2024-01",
        "2024-W01",
    ],
)
def test_a_name_that_is_no_past_day_is_no_date(tmp_path: Path, name: str) -> None:
    (line,) = read(tmp_path / f"{name}.md", "Met Anna.")
    assert line.created_at.year not in (2024, 2999)


def test_the_date_of_the_front_matter_decides(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "2024-01-05.md", "---\ndate: 2023-02-01\n---\nMet Anna.")
    assert line.created_at.year == 2023


@pytest.mark.parametrize("written", ["", '""', "' '", "[]", "['']"])
def test_a_note_with_an_empty_title_has_the_name_of_its_file(tmp_path: Path, written: str) -> None:
    (line,) = read(tmp_path / "Rome.md", f"---\ntitle: {written}\n---\nWe were there.")
    assert line.metadata["title"] == "Rome"


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("1984", "1984"), ("true", "true"), ("2024-01-05", "2024-01-05"), ("1.10", "1.10"), ("[Draft]", "Draft"),
        ("[1984, true]", "1984, true"), ("[[Anna]]", "Anna"), ("{ünı: 1}", '{"ünı": 1}'),
    ],
)  # fmt: skip
def test_a_title_is_text_whatever_yaml_reads_it_as(tmp_path: Path, written: str, title: str) -> None:
    (line,) = read(tmp_path / "Rome.md", f"---\ntitle: {written}\n---\nWe were there.")
    assert line.metadata["title"] == title


@pytest.mark.parametrize(
    ("head", "aliases"),
    [
        ("title: Trip", ["Rome"]),
        ("title: Trip\naliases: [Roma, 7]", ["Roma", 7, "Rome"]),
        ("title: Trip\naliases: Roma", ["Roma", "Rome"]),
        ("title: Trip\naliases: [rome]", ["rome"]),
        ("title: rome", None),
        ("aliases: [Roma]", ["Roma"]),
    ],
)
def test_the_name_of_a_file_with_another_title_is_an_alias(tmp_path: Path, head: str, aliases: object) -> None:
    (line,) = read(tmp_path / "Rome.md", f"---\n{head}\n---\nWe were there.")
    assert line.metadata.get("aliases") == aliases


def test_a_file_name_of_macos_is_the_name_that_people_type(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "Zu\u0308rich.md", "---\ntitle: Z\u00fcrich\n---\nAm See.")
    assert line.metadata == {"title": "Z\u00fcrich", "file": "Z\u00fcrich.md"}
    (line,) = read(tmp_path / "Zu\u0308rich.md", "Am See.")
    assert line.metadata == {"title": "Z\u00fcrich", "file": "Z\u00fcrich.md"}


def test_the_name_of_a_page_of_logseq_is_as_it_shows_it(tmp_path: Path) -> None:
    (line,) = read(tmp_path / "Reisen___Wohin%3F 100% Rom.md", "- Am Tiber")
    assert line.metadata == {"title": "Reisen/Wohin? 100% Rom", "file": "Reisen___Wohin%3F 100% Rom.md"}


def test_the_id_that_notion_adds_is_not_in_the_title(tmp_path: Path) -> None:
    (line,) = read(tmp_path / f"House {'0123456789abcdef' * 2}.md", "# House")
    assert line.metadata["title"] == "House"
