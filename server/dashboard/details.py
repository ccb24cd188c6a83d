"""The other details of a memory as rows of a form. Each row has a name, a kind and a value."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from server.dashboard.fields import FIELD_LABELS, LABEL_KEYS
from server.errors import Invalid
from server.models.base import JSON, JsonObject
from server.text.spelling import shortened


class Kind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    LIST = "list"
    JSON = "json"


KIND_NAMES = {
    Kind.TEXT: "Text",
    Kind.NUMBER: "Number",
    Kind.BOOLEAN: "True/false",
    Kind.DATE: "Date",
    Kind.LIST: "List",
    Kind.JSON: "JSON",
}
_KINDS_OF: Mapping[type, Sequence[Kind]] = {
    bool: [Kind.BOOLEAN],
    int: [Kind.NUMBER],
    float: [Kind.NUMBER],
    str: [Kind.DATE, Kind.TEXT],
    list: [Kind.LIST],
}
"""The kinds that may suit a value of each type, the plainest first. Any other value is JSON."""

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


class DetailRow(NamedTuple):
    """A row as the form shows it. `problem` says what is wrong with it."""

    name: str = ""
    kind: str = Kind.TEXT
    value: str = ""
    problem: str | None = None


def rows_of(details: JsonObject) -> list[DetailRow]:
    """Return a row for each detail that a form can show. `details_of` keeps the others."""
    return [
        DetailRow(name, kind := _kind_of(value), _text_of(value, kind))
        for name, value in details.items()
        if name not in LABEL_KEYS and _fits_in_a_field(name)
    ]


def rows_in_form(names: Sequence[str], kinds: Sequence[str], values: Sequence[str]) -> list[DetailRow]:
    """Return the rows as somebody typed them, each with its problem. Raises Invalid if the form is incomplete."""
    if not len(names) == len(kinds) == len(values):
        raise Invalid("The form is incomplete. Reload the page and try again.")
    stripped = [name.strip() for name in names]
    rows = map(DetailRow, stripped, kinds, values)
    return [row._replace(problem=_problem_of(row, stripped[:number])) for number, row in enumerate(rows)]


def details_of(rows: Sequence[DetailRow], before: JsonObject) -> JsonObject:
    """Return the metadata in the rows, and what `before` has that no form can show. Raises Invalid, which names the
    row, for a row with a problem.
    """
    details = {name: value for name, value in before.items() if not _fits_in_a_field(name)}
    for row in rows:
        if row.problem:
            raise Invalid(f"{shortened(row.name) or FIELD_LABELS['metadata']}: {row.problem}")
        if row.name:
            details[row.name] = _parse(row)
    return details


def _problem_of(row: DetailRow, used: Sequence[str]) -> str | None:
    """Return what is wrong with the row, or None. A row without name and value is not used."""
    if not row.name:
        return "enter a name, or remove this row." if row.value.strip() else None
    if row.name in LABEL_KEYS:
        return "this has its own field above: enter it there."
    if row.name in used:
        return "another row has this name: choose a different one."
    try:
        _parse(row)
    except ValueError as reason:
        return str(reason)
    return None


def _fits_in_a_field(name: str) -> bool:
    """Return whether a row keeps the name: an input has one line, and `rows_in_form` strips names."""
    return bool(name) and name == name.strip() and not {"\n", "\r"} & set(name)


def _kind_of(value: JSON) -> Kind:
    """Return the plainest kind whose field gives exactly this value back."""
    for kind in _KINDS_OF.get(type(value), ()):
        text = _text_of(value, kind)
        with suppress(ValueError):
            if "\r" not in text and _PARSERS[kind](text) == value:  # browsers change carriage returns
                return kind
    return Kind.JSON


def _text_of(value: JSON, kind: Kind) -> str:
    if kind is Kind.LIST and isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str) and kind is not Kind.JSON:
        return value
    return json.dumps(value, ensure_ascii=False, indent=2)


def _parse(row: DetailRow) -> JSON:
    """Return the value. Raises ValueError with a sentence for the reader."""
    if row.kind not in list(Kind):
        raise ValueError("choose one of the kinds.")
    return _PARSERS[Kind(row.kind)](row.value)


def _number(text: str) -> JSON:
    with suppress(ValueError):
        number: JSON = json.loads(text)
        if type(number) is int or (type(number) is float and math.isfinite(number)):
            return number
    raise ValueError("enter a number such as 3 or 2.5.")


def _boolean(text: str) -> JSON:
    with suppress(KeyError):
        return _TRUTH[text.strip().casefold()]
    raise ValueError("enter true or false.")


def _date(text: str) -> JSON:
    day = text.strip()
    with suppress(ValueError):
        if date.fromisoformat(day).isoformat() == day:
            return day
    raise ValueError("enter a date such as 2026-02-22.")


def _list(text: str) -> JSON:
    return [item for item in map(str.strip, text.split(",")) if item]


def _json(text: str) -> JSON:
    with suppress(ValueError, RecursionError):
        value: JSON = json.loads(text)
        return value
    raise ValueError('enter JSON such as {"city": "Lisbon"} or [1, 2].')


_PARSERS: Mapping[Kind, Callable[[str], JSON]] = {
    Kind.TEXT: str,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.LIST: _list,
    Kind.JSON: _json,
}
