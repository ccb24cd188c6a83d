"""Formats times for people: how long ago, the day that a list groups by, or the exact time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import NamedTuple, Protocol
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from markupsafe import Markup

from server.domain.memory.source import PREFIXES
from server.models.base import is_id, now, time_in
from server.plurals import count

IMPORT = "imp_"
ZONE_COOKIE = "zone"
"""Holds the reader's time zone, which a script sets. Without it, days are in UTC."""

MOST_DAYS = 30
"""A time that is more days ago is shown as its date."""

UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


class Dated(Protocol):
    @property
    def created_at(self) -> datetime: ...


class Day(NamedTuple):
    """Rows under one heading: Today, Yesterday, a weekday, or a month."""

    heading: str
    rows: Sequence[Dated]


def moment(value: datetime) -> Markup:
    """Return a time in UTC. A script shows it in the reader's time zone."""
    value = value.astimezone(UTC)
    markup = Markup('<time datetime="{}">{}</time>')
    return markup.format(_machine(value), _exact(value))


def ago(value: datetime) -> Markup:
    """Return how long ago a time was, with the exact time on hover. A script shows that in the reader's time zone."""
    value = value.astimezone(UTC)
    present = now()
    form = "date" if present - value > timedelta(days=MOST_DAYS) else "ago"
    markup = Markup('<time datetime="{}" title="{}" data-as="{}">{}</time>')
    return markup.format(_machine(value), _exact(value), form, _since(value, present))


def zone_of(cookies: Mapping[str, str]) -> tzinfo:
    """Return the reader's time zone, or UTC."""
    name = unquote(cookies.get(ZONE_COOKIE, ""))
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def times_of_namesakes(names: Mapping[str, str], zone: tzinfo) -> dict[str, str]:
    """Return the times of sources that share their name with another, by their ids: when the import began, or the key
    or connection was created. `names` are those of sources by id, or by the kind for those that count as one.
    """
    labels = {one: (one.startswith(IMPORT), name) for one, name in names.items()}
    often = Counter(labels.values())
    times = {
        one: time_in(prefix, one).astimezone(zone)
        for one, label in labels.items()
        for prefix in PREFIXES
        if often[label] > 1 and is_id(prefix, one)
    }
    return {one: f" {time:%b} {time.day}, {time:%Y %H:%M:%S}" for one, time in times.items()}


def by_day(rows: Sequence[Dated], zone: tzinfo) -> list[Day]:
    """Group rows, newest first, under headings. Days are in the time zone."""
    today = now().astimezone(zone).date()
    groups = groupby(rows, lambda row: _heading(row.created_at.astimezone(zone).date(), today))
    return [Day(heading, list(group)) for heading, group in groups]


def _heading(day: date, today: date) -> str:
    age = (today - day).days
    if age <= 1:
        return "Today" if age <= 0 else "Yesterday"
    if age < 7:
        return f"{day:%A}"
    return f"{day:%B}" if day.year == today.year else f"{day:%B %Y}"


def _since(value: datetime, present: datetime) -> str:
    age = present - value
    if age > timedelta(days=MOST_DAYS):
        year = "" if value.year == present.year else f", {value:%Y}"
        return f"{value:%b} {value.day}{year}"
    seconds = age.total_seconds()
    for length, unit in UNITS:
        if seconds >= length:
            return f"{count(int(seconds // length), unit)} ago"
    return "just now"


def _machine(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _exact(value: datetime) -> str:
    return f"{value:%b} {value.day}, {value:%Y, %H:%M} UTC"
