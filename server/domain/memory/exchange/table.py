"""Reads and writes CSV: any separator, quoted line breaks, and cells that no spreadsheet mistakes for a formula."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import IO, Any

from server.domain.memory.exchange.chat_parts import from_json_text
from server.domain.memory.exchange.entries import LABEL_FIELDS, Entry, Foreign, Warnings
from server.domain.memory.exchange.json_values import MAX_VALUE_LENGTH
from server.domain.memory.exchange.records import CONTENT_NAMES, read_record
from server.domain.memory.exchange.texts import HEAD_BYTES
from server.domain.memory.labels import PEOPLE, TAGS
from server.errors import Invalid

COLUMNS = (
    "id", "content", "tags", "people_mentioned", "topic_category", "user_id", "created_at", "updated_at", "expires_at",
    "pinned", "source", "version", "metadata", "messages",
)  # fmt: skip
_JSON_COLUMNS = ("source", "metadata", "messages")
_SEPARATORS = ",;\t|"
_NO_SEPARATOR = "\x1f"
"""For a table of one column, such as a list: a separator in a line is text."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
"""A cell that begins with one of these gets an apostrophe in front, which spreadsheets hide. Reading removes it."""


def separator_of(lines: Sequence[str]) -> str | None:
    """Return the separator of a header that names a text column, or None if the lines do not begin with one."""
    headers = {mark: next(csv.reader(lines, delimiter=mark, skipinitialspace=True), []) for mark in _SEPARATORS}
    candidates = [(len(row), mark) for mark, row in headers.items() if not set(CONTENT_NAMES).isdisjoint(_names(row))]
    columns, mark = max(candidates, default=(0, None))
    return _NO_SEPARATOR if columns == 1 else mark


def read_table(file: IO[str], warnings: Warnings) -> Iterator[Entry]:
    """Yield the rows. Raises Invalid with the line of a row that cannot be read."""
    csv.field_size_limit(MAX_VALUE_LENGTH)
    before = 0
    while (mark := separator_of(lines := _header_lines(file))) is None:
        before += 1
        if not (lines[0].isspace() or lines[0].casefold().startswith("sep=")):
            raise Invalid(f"must name the columns, one of them {', '.join(CONTENT_NAMES)}.", field=f"line {before}")
    is_spaced = f"{mark} " in "".join(lines)
    rows = csv.reader(chain(lines, file), delimiter=mark, skipinitialspace=is_spaced, strict=True)
    place = f"line {before + 1}"
    try:
        names = _names(next(rows))
        for name, count in Counter(filter(None, names)).items():
            if count > 1:
                warnings.add("only one of several columns with the same name is read", name)
        place = f"line {before + rows.line_num + 1}"
        for row in rows:
            if any(cell.strip() for cell in row):
                yield from read_record(place, _record(place, names, row), warnings)
            place = f"line {before + rows.line_num + 1}"
    except csv.Error as error:
        raise Invalid(f"{_problem(str(error))}.", field=place) from None


def _problem(error: str) -> str:
    """Translate an error of Python's CSV reader into our words."""
    if "field larger" in error:
        return f"has a cell of more than {MAX_VALUE_LENGTH:,} characters: split it into several"
    if "unexpected end" in error:
        return "has a quotation mark that is not closed"
    if "expected after" in error:
        return "has text after a closing quotation mark: quote the whole cell, and double each quotation mark in it"
    return error


def _write(file: IO[str], cells: Iterable[str]) -> None:
    """Write a row. Every cell is in quotation marks, because some spreadsheets also split at semicolons and tabs."""
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow(cells)


def write_row(file: IO[str], record: Foreign) -> None:
    """Write an exported line as a row. A label that a cell cannot express exactly is written as metadata."""
    metadata = dict(record.get("metadata") or {})
    labels = {name: metadata[name] for name in LABEL_FIELDS if _is_exact(name, metadata.get(name))}
    rest = {name: value for name, value in metadata.items() if name not in labels}
    record = record | labels | {"metadata": rest or None}
    _write(file, [_cell(record.get(name)) for name in COLUMNS])


def write_header(file: IO[str]) -> None:
    file.write("\ufeff")  # so that spreadsheets recognize UTF-8
    _write(file, COLUMNS)


def _header_lines(file: IO[str]) -> list[str]:
    """Read a header. A column's name in quotation marks may have several lines."""
    lines = [file.readline(MAX_VALUE_LENGTH)]
    marks, length = lines[0].count('"'), len(lines[0])
    while marks % 2 and length < HEAD_BYTES and (line := file.readline(MAX_VALUE_LENGTH)):
        lines.append(line)
        marks += line.count('"')
        length += len(line)
    return lines


def _names(row: list[str]) -> list[str]:
    return ["_".join(name.replace("\ufeff", "").casefold().split()) for name in row]


def _record(place: str, names: list[str], row: list[str]) -> Foreign:
    if len(row) > len(names) and any(row[len(names) :]):
        raise Invalid(f"has {len(row)} cells, but the first line names {len(names)} columns.", field=place)
    return {name: _value(name, cell) for name, cell in zip(names, row, strict=False) if name and cell.strip()}


def _value(name: str, cell: str) -> Any:
    text = cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in _FORMULA else cell
    if name in _JSON_COLUMNS or (name in (TAGS, PEOPLE) and text.startswith("[")):
        return from_json_text(text)
    return text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _is_exact(name: str, value: Any) -> bool:
    cell = _cell(value)
    return bool(cell.strip()) and _value(name, cell) == value
