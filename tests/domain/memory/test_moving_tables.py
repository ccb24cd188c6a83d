"""Imports of CSV, as spreadsheets in many countries write it."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.errors import Invalid
from tests.support.moving import read, texts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def test_a_table_keeps_line_ends_in_cells_labels_and_times(path: Path) -> None:
    (line,) = read(path, '\ufeffCONTENT;Tags;User ID;created_at\r\n"one\r\ntwo; three";"a,b";ann;2024-01-01\r\n\r\n')
    assert (line.content.splitlines(), line.metadata["tags"], line.user_id) == (["one", "two; three"], "a,b", "ann")
    assert line.created_at.year == 2024


def test_columns_with_the_same_name_are_named(path: Path) -> None:
    warnings = Warnings()
    read(path, "content,tags,Tags\ntea,a,b\n", warnings=warnings)
    assert warnings.sentences() == ["only one of several columns with the same name is read, such as tags (1 time)"]


def test_a_name_of_a_column_may_have_several_lines(path: Path) -> None:
    assert texts(path, 'content;"when\r\nand where"\r\ntea;Rome\r\n') == ["tea"]
    with pytest.raises(Invalid, match=r"^line 4: has 3 cells"):
        read(path, 'content;"when\r\nand where"\r\ntea;Rome\r\nmilk;a;b\r\n')
    before = '\ufeffsep=;\r\n"when\r\nand\r\nwhere";content;topic_category\r\n'
    assert texts(path, f"{before}Rome;tea;a\r\n") == ["tea"]
    with pytest.raises(Invalid, match=r"^line 6: has 4 cells"):
        read(path, f"{before}Rome;tea;a\r\nRome;milk;a;b\r\n")


def test_a_long_name_of_a_column_takes_no_time(path: Path) -> None:
    began = time.monotonic()
    header = 'content;"when' + "\n" * 100_000
    with pytest.raises(Invalid, match=r"^line 1: has a quotation mark that is not closed"):
        read(path, header)
    assert texts(path, f'{header}"\ntea\n') == ["tea"]
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("written", ["01.02.2024 09:12", "1.2.2024 09:12:00", "01.02.2024, 9:12"])
def test_a_time_with_points_has_the_day_first(path: Path, written: str) -> None:
    (line,) = read(path, f'content;created_at\ntea;"{written}"\n')
    assert line.created_at == datetime(2024, 2, 1, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_table_in_chinese_needs_no_byte_order_mark(path: Path, encoding: str) -> None:
    row = "我们一起喝茶\u3000"
    assert texts(path, ("content\n" + f"{row}茶\n" * 50).encode(encoding)) == [f"{row}茶"] * 50


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "shift_jis", "gb18030", "euc_kr"])
def test_a_table_in_another_encoding_is_refused_with_what_to_do(path: Path, encoding: str) -> None:
    word = {"cp1252": "Müller", "cp1251": "Чай", "euc_kr": "여행"}.get(encoding, "旅行")
    with pytest.raises(Invalid, match=r"^line 3: is not UTF-8 or UTF-16 text. Save .* CSV UTF-8"):
        read(path, f"content;tags\ntea;a\n{word};b\n".encode(encoding))


def test_a_cell_that_is_nested_too_deeply_is_text(path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    for name, problem in (("metadata", "must be a JSON object"), ("tags", "must be at most 16 KB")):
        with pytest.raises(Invalid, match=rf"^line 2: metadata: {problem}"):
            read(path, f"content,{name}\ntea,{deep}\n")
