"""Reads the times that other programs write."""

import contextlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.expiry import parse_moment
from server.domain.memory.inputs import parse_past

PAST = ("created_at", "updated_at")
UNREAD = "times that cannot be read, or are not between 1970 and now, stay in the metadata"

_MOST_SECONDS = 100_000_000_000
_SMALLER_UNITS = ("milliseconds", "microseconds", "nanoseconds")
_AS_IN_MAIL = re.compile(r"([A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d")
_COMPACT = re.compile(r"((?:19|20)\d{6})(?:T?([0-9]{4})([0-9]{2})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
"""A day or a time without signs in it: 20260222, 20260222T103000Z. As a number since 1970, each would be of the
seventies.
"""

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?!.*[ap]m$)", re.IGNORECASE)
_LONGEST = 80
_WEEKDAY = re.compile(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+", re.IGNORECASE)
_SIGNS = re.compile(r"(?<=\d)(st|nd|rd|th)\b|\bat\b|,|\.(?=\s)|\(.*\)$", re.IGNORECASE)
_DAYS = (
    "%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d", "%d.%m.%Y", "%B %d %Y", "%b %d %Y", "%d %B %Y", "%d %b %Y",
    "%Y年%m月%d日", "%Y년 %m월 %d일",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S GMT%z")
"""Days such as 01/02/2024 are missing, because they mean the first of February or the second of January. With points,
the day is always first: spreadsheets in most of Europe write 01.02.2024.
"""


def moment(value: Any) -> Any:
    """Return a time as ISO 8601: a number of seconds, milliseconds or smaller units since 1970, a day or time without
    signs, one as in mail, or with the year first, the month as an English word, points, or the signs of Chinese,
    Japanese or Korean. Return anything else unchanged.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    if match := _COMPACT.fullmatch(str(value)):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(
                f"{match[1]}T{match[2] or '0000'}{match[3] or '00'}{match[4] or ''}"
            ).isoformat()
    if isinstance(value, str):
        is_number = value.replace(".", "", 1).isdecimal() and len(value) > len("20260101")
        return _since_1970(float(value)) if is_number else _written(value)
    return _since_1970(value)


def is_past(value: Any) -> bool:
    """Return whether a memory may have been created at the time."""
    try:
        return parse_past(moment(value)) is not None
    except ValueError:
        return False


def is_moment(value: Any) -> bool:
    try:
        return parse_moment(moment(value)) is not None
    except ValueError:
        return False


def times_of(created: Any, updated: Any) -> Foreign:
    """Return the times as fields, without those that are missing."""
    times = {"created_at": created, "updated_at": updated}
    return {name: time for name, time in times.items() if time}


def with_readable_times(entry: Entry, warnings: Warnings) -> Entry:
    """Return the entry with its times as ISO 8601. Those that no memory may have stay in its metadata, and are counted
    in `warnings`.
    """
    times = {name: moment(entry.fields[name]) for name in PAST if name in entry.fields}
    unread = {name: value for name, value in times.items() if not is_past(value)}
    if unread:
        warnings.add(UNREAD, entry.place)
    fields = {name: value for name, value in (entry.fields | times).items() if name not in unread}
    return entry._replace(fields=fields | {"metadata": unread | fields.get("metadata", {})})


def _since_1970(number: float) -> str:
    seconds = number
    try:
        for _unit in _SMALLER_UNITS:
            seconds = seconds / 1000 if seconds > _MOST_SECONDS else seconds
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(number)


def _written(text: str) -> str:
    """Return a time in words as ISO 8601, and anything else unchanged."""
    if _AS_IN_MAIL.match(text):
        with contextlib.suppress(ValueError):
            return parsedate_to_datetime(text).isoformat()
    if len(text) > _LONGEST or _ISO.match(text):
        return text
    words = " ".join(_SIGNS.sub(" ", _WEEKDAY.sub("", text.strip())).split())
    for form in (day + time for time in _TIMES for day in _DAYS):
        with contextlib.suppress(ValueError):
            return datetime.strptime(words, form).isoformat()  # noqa: DTZ007 - in UTC if it names no zone
    return text
