"""Reads and writes CSV: any separator, quoted line ends, and cells that no spreadsheet takes for a formula."""

import csv
import json
from collections.abc import Iterator
from typing import IO, Any

from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.lines import MAX_LINE_LENGTH
from server.domain.memory.exchange.records import CONTENT_NAMES, read_record
from server.errors import Invalid

COLUMNS = (
    "id", "content", "tags", "people_mentioned", "topic_category", "user_id", "created_at", "updated_at", "expires_at",
    "pinned", "metadata", "messages",
)  # fmt: skip
_LABELS = ("tags", "people_mentioned", "topic_category")
_JSON_COLUMNS = ("metadata", "messages")
_SEPARATORS = ",;\t|"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""A cell that begins so is written behind an apostrophe, which spreadsheets hide. Reading takes it off again."""


def separator_of(first_line: str) -> str | None:
    """Return what separates the names of a header that names a text, or None if the line is no such header."""
    found = [(len(names), mark) for mark in _SEPARATORS if _has_text(names := _header(first_line, mark))]
    return max(found)[1] if found else None


def read_table(file: IO[str], warnings: Warnings) -> Iterator[Entry]:
    """Yield the rows. Raises Invalid with the line of one that cannot be read."""
    csv.field_size_limit(MAX_LINE_LENGTH)
    start = 1
    mark = None
    while mark is None:
        line = file.readline(MAX_LINE_LENGTH)
        mark = separator_of(line)
        if mark is None and not ((line.strip() == "" and line) or line.casefold().startswith("sep=")):
            raise Invalid(f"must name the columns, one of them {', '.join(CONTENT_NAMES)}.", field=f"line {start}")
        start += 1
    names = _header(line, mark)
    rows = csv.reader(file, delimiter=mark, strict=True)
    place = f"line {start}"
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield from read_record(place, _record(place, names, row), warnings)
            place = f"line {start + rows.line_num}"
    except csv.Error as error:
        raise Invalid(f"{error}.", field=place) from None


def write_row(file: IO[str], record: Foreign) -> None:
    """Write an exported line as a row."""
    metadata = dict(record.get("metadata") or {})
    record = record | {name: metadata.pop(name, "") for name in _LABELS}
    record["metadata"] = metadata or None
    csv.writer(file).writerow([_cell(record.get(name)) for name in COLUMNS])


def write_header(file: IO[str]) -> None:
    file.write("\ufeff")  # so that spreadsheets know that it is UTF-8
    csv.writer(file).writerow(COLUMNS)


def _header(line: str, mark: str) -> list[str]:
    row = next(csv.reader([line], delimiter=mark), [])
    return ["_".join(name.replace("\ufeff", "").casefold().split()) for name in row]


def _has_text(names: list[str]) -> bool:
    return not set(CONTENT_NAMES).isdisjoint(names)


def _record(place: str, names: list[str], row: list[str]) -> Foreign:
    if len(row) > len(names) and any(row[len(names) :]):
        raise Invalid(f"has {len(row)} cells, and the first line names {len(names)} columns.", field=place)
    return {name: _value(name, cell) for name, cell in zip(names, row, strict=False) if name and cell.strip()}


def _value(name: str, cell: str) -> Any:
    text = cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in _FORMULA else cell
    if name in _JSON_COLUMNS or (name in _LABELS and text.startswith("[")):
        try:
            value: Any = json.loads(text)
        except ValueError:
            return text
        return value
    return text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text
