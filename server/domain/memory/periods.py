"""Parses words and dates such as `last_week` or `2026-02-22` into a period of time.

`last_N_days` and the like end now. The other words are calendar periods in the caller's time zone.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from server.errors import Invalid
from server.text.reasons import NOT_A_MOMENT

VOCABULARY = (
    "today, yesterday, this_week, last_week, this_month, last_month, this_year, last_year, last_N_days (or hours, "
    "weeks, months, years), a date (2026-02-22), month (2026-02) or year (2026), or a range (2026-02-01..2026-02-22, "
    "with both days)"
)

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = re.compile(
    rf"({_DATE}[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:[.,][0-9]+)?)?) ?(Z|UTC|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?"
)
"""ISO 8601 with hours and minutes, and as databases and front matter write it: `2026-02-22 10:30:00 +00`."""

_DAYS = re.compile(rf"({_DATE})(?:\.\.({_DATE}))?")
_MONTHS = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
_ROLLING = re.compile(r"(?:last|past)_([+-]?[0-9]+)_(hour|day|week|month|year)s?")
_UNREAL = "must have dates that exist, from 0002-01-01 to 9998-12-31"
_MOST_ROLLING = 700_000
"""In days, this goes back almost to the year 1, where Python's calendar begins."""

_MOST_DIGITS = 20
_ONE_DAY = timedelta(days=1)
_UNITS = {"hour": _ONE_DAY / 24, "day": _ONE_DAY, "week": 7 * _ONE_DAY, "month": 31 * _ONE_DAY, "year": 366 * _ONE_DAY}
"""Months and years are as long as the longest, so that nothing of them is left out."""


class Period(NamedTuple):
    """A period in UTC: `start` is inclusive, `end` exclusive. None is unlimited."""

    start: datetime | None = None
    end: datetime | None = None


def period_between(
    temporal_filter: str | None = None,
    timezone: str | None = None,
    created_after: str | None = None,
    created_before: str | None = None,
) -> Period:
    """Return the period that satisfies all arguments. A date stands for its first moment. Dates, and times without an
    offset, are in `timezone` (default UTC). Raises Invalid, naming the field.
    """
    zone = zone_of("UTC" if timezone is None else timezone)
    after = _parse_field("created_after", created_after, zone)
    before = _parse_field("created_before", created_before, zone)
    if after and before and before <= after:
        raise Invalid("must be later than created_after.", field="created_before")
    period = Period()
    if temporal_filter is not None:
        period = period_of(temporal_filter, zone, datetime.now(UTC))
    starts = [start for start in (period.start, after) if start]
    ends = [end for end in (period.end, before) if end]
    return Period(max(starts, default=None), min(ends, default=None))


def period_of(text: str, zone: tzinfo, moment: datetime, field: str = "temporal_filter") -> Period:
    """Return the period that `text` means at `moment`. Raises Invalid, naming `field`."""
    words = re.sub(r"[\s_]+", "_", text.strip().casefold())
    try:
        if days := _DAYS.fullmatch(words):
            return _dates(days[1], days[2] or days[1], zone)
        if month := _MONTHS.fullmatch(words):
            return _month(month[1], month[2], zone)
        if rolling := _ROLLING.fullmatch(words):
            return _rolling(rolling[1], rolling[2], moment)
        if words in _CALENDAR:
            return _days(*_CALENDAR[words](moment.astimezone(zone).date()), zone)
        raise ValueError(f"must be one of {VOCABULARY}")
    except ValueError as reason:
        raise Invalid(f"{reason}.", field=field) from None


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone with this IANA name, in any case, with blanks for `_`. Raises Invalid if there is none."""
    name = name.strip().replace(" ", "_")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = _zone_names().get(name.casefold())
    if known is None:
        raise Invalid("must be an IANA name such as Europe/Berlin.", field="timezone")
    return ZoneInfo(known)


@cache
def _zone_names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def moment_of(text: str, zone: tzinfo = UTC) -> datetime:
    """Return an ISO 8601 date (its start) or time in UTC. `zone` applies if the text has no offset.

    Raises ValueError with a reason for the caller.
    """
    written = text.strip().upper()
    try:
        if re.fullmatch(_DATE, written):
            return _midnight(date.fromisoformat(written), zone)
        if parts := _MOMENT.fullmatch(written):
            moment = datetime.fromisoformat(parts[1] + (parts[2] or "").replace("UTC", "Z"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(NOT_A_MOMENT)


def week_of(day: date) -> tuple[date, date]:
    """Return the Monday of the day's week, and the next Monday. Weeks begin on Monday everywhere."""
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _parse_field(field: str, text: str | None, zone: tzinfo) -> datetime | None:
    try:
        return None if text is None else moment_of(text, zone)
    except ValueError as reason:
        raise Invalid(f"{reason}.", field=field) from None


def month_of(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def year_of(day: date) -> tuple[date, date]:
    return date(day.year, 1, 1), date(day.year + 1, 1, 1)


def _day_of(day: date) -> tuple[date, date]:
    return day, day + _ONE_DAY


Calendar = Callable[[date], tuple[date, date]]


def _before(period: Calendar) -> Calendar:
    return lambda day: period(period(day)[0] - _ONE_DAY)


_CALENDAR: dict[str, Calendar] = {
    "today": _day_of,
    "yesterday": _before(_day_of),
    "this_week": week_of,
    "last_week": _before(week_of),
    "this_month": month_of,
    "last_month": _before(month_of),
    "this_year": year_of,
    "last_year": _before(year_of),
}


def _dates(first: str, last: str, zone: tzinfo) -> Period:
    """Return the period from the first to the last day, with both. Raises ValueError with a reason for the caller."""
    try:
        period = _days(date.fromisoformat(first), date.fromisoformat(last) + _ONE_DAY, zone)
    except (ValueError, OverflowError):
        raise ValueError(_UNREAL) from None
    if last < first:
        raise ValueError(f"must begin with the earlier date: {last}..{first}")
    return period


def _month(year: str, month: str | None, zone: tzinfo) -> Period:
    """Return the period of a month, or of the year. Raises ValueError with a reason for the caller."""
    try:
        first = date(int(year), int(month or 1), 1)
        return _days(*(month_of(first) if month else year_of(first)), zone)
    except (ValueError, OverflowError):
        raise ValueError(_UNREAL) from None


def _days(first: date, end: date, zone: tzinfo) -> Period:
    return Period(_midnight(first, zone), _midnight(end, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def _rolling(count: str, unit: str, moment: datetime) -> Period:
    """Return the period of the last `count` days or other units. Raises ValueError with a reason for the caller."""
    length = int(count[:_MOST_DIGITS])  # Python refuses to parse thousands of digits
    most = min(_MOST_ROLLING, _MOST_ROLLING * _ONE_DAY // _UNITS[unit])
    if not 1 <= length <= most:
        raise ValueError(f"must have a number from 1 to {most} in last_N_{unit}s")
    return Period(moment - length * _UNITS[unit], None)
