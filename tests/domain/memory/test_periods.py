"""The periods that words and dates such as `last_week` mean."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from server.domain.memory.periods import moment_of, period_between, period_of
from server.errors import Invalid

NOW = datetime(2026, 3, 1, 13, 45, 30, tzinfo=UTC)  # a Sunday


def written(moment: datetime | None) -> str:
    """Return `03-01 05:00` within 2026, else the whole date; `…` for no limit."""
    if moment is None:
        return "…"
    text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return text.removeprefix("2026-").removesuffix(" 00:00")


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("today", "03-01", "03-02"),
        ("yesterday", "02-28", "03-01"),
        ("this_week", "02-23", "03-02"),
        ("last_week", "02-16", "02-23"),
        ("this_month", "03-01", "04-01"),
        ("last_month", "02-01", "03-01"),
        ("this_year", "01-01", "2027-01-01"),
        ("last_year", "2025-01-01", "01-01"),
        ("last_7_days", "02-22 13:45", "…"),
        ("last_1_day", "02-28 13:45", "…"),
        ("last_36_hours", "02-28 01:45", "…"),
        ("last_2_weeks", "02-15 13:45", "…"),
        ("past 3 months", "2025-11-28 13:45", "…"),
        ("last_1_year", "2025-02-28 13:45", "…"),
        ("2026-02", "02-01", "03-01"),
        ("2025-12", "2025-12-01", "01-01"),
        ("2025", "2025-01-01", "01-01"),
        ("2026-02-22", "02-22", "02-23"),
        ("2026-02-01..2026-02-22", "02-01", "02-23"),
        (" Last Week ", "02-16", "02-23"),
        ("LAST 7 DAYS", "02-22 13:45", "…"),
    ],
)
def test_words_mean_calendar_periods_and_last_n_is_rolling(words: str, start: str, end: str) -> None:
    period = period_of(words, UTC, NOW)
    assert (written(period.start), written(period.end)) == (start, end)


def test_days_begin_in_the_callers_time_zone() -> None:
    period = period_of("today", ZoneInfo("Pacific/Auckland"), NOW)  # it is 2 March there
    assert (written(period.start), written(period.end)) == ("03-01 11:00", "03-02 11:00")
    period = period_of("this_week", ZoneInfo("America/New_York"), NOW)
    assert (written(period.start), written(period.end)) == ("02-23 05:00", "03-02 05:00")


def test_a_day_when_the_clock_goes_forward_has_23_hours() -> None:
    period = period_of("2026-03-29", ZoneInfo("Europe/Berlin"), NOW)
    assert period.start is not None
    assert period.end is not None
    assert (period.end - period.start).total_seconds() == 23 * 3600


@pytest.mark.parametrize(
    "words",
    [
        "", " ", "tomorrow", "next_week", "last_days", "2026-2-1", "2026-02-01..", "today today", "last_٣_days",
        "last_1.5_days", "..2026-02-01", "2026-02-01..today",
    ],
)  # fmt: skip
def test_other_words_are_invalid(words: str) -> None:
    with pytest.raises(Invalid, match=r"^temporal_filter: must be one of today"):
        period_of(words, ZoneInfo("Asia/Tokyo"), NOW)


COUNTED = "must have a number from 1 to 700000 in last_N_{unit}s."
REAL = "must have dates that exist, from 0002-01-01 to 9998-12-31."


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("last_0_days", COUNTED.format(unit="day")),
        ("last_-1_days", COUNTED.format(unit="day")),
        ("last_000_hours", COUNTED.format(unit="hour")),
        ("last -12 hours", COUNTED.format(unit="hour")),
        ("last_700001_days", COUNTED.format(unit="day")),
        ("last_1000000000000_days", COUNTED.format(unit="day")),
        ("last_1913_years", "must have a number from 1 to 1912 in last_N_years."),
        (f"last_{'9' * 5000}_days", COUNTED.format(unit="day")),
        ("2026-02-22..2026-02-01", "must begin with the earlier date: 2026-02-01..2026-02-22."),
        ("2026-02-30", REAL),
        ("2026-13-01..2026-02-01", REAL),
        ("2026-13", REAL),
        ("0001", REAL),
        ("9999-12", REAL),
        ("0001-01-01", REAL),
        ("9999-12-31", REAL),
        ("2026-01-01..9999-12-31", REAL),
    ],
)
def test_a_period_that_cannot_be_says_why(words: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        period_of(words, ZoneInfo("Asia/Tokyo"), NOW)
    assert refused.value.detail == f"temporal_filter: {reason}"


@pytest.mark.parametrize(
    "words", ["last_700000_days", "last_700000_hours", "last_1912_years", "0002-01-01..9998-12-31", "9998"]
)
def test_the_limits_of_a_period_are_allowed(words: str) -> None:
    assert period_of(words, ZoneInfo("Pacific/Kiritimati"), NOW).start


def test_the_period_satisfies_every_argument() -> None:
    period = period_between("2026-03-01..2026-03-31", "UTC", "2026-03-10", "2026-12-01T00:00:00+02:00")
    assert (written(period.start), written(period.end)) == ("03-10", "04-01")
    period = period_between(None, "Europe/Berlin", "2026-02-01", None)
    assert (written(period.start), written(period.end)) == ("01-31 23:00", "…")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "EST"])
def test_the_case_of_a_time_zone_does_not_matter(zone: str) -> None:
    for spelling in (zone.lower(), zone.upper()):
        assert period_between("2026-02-22", spelling) == period_between("2026-02-22", zone)


@pytest.mark.parametrize("zone", ["", "Nowhere", "America", "../../etc/passwd", "/etc/localtime", "UTC\0", "A" * 5000])
def test_a_time_zone_is_an_iana_name(zone: str) -> None:
    with pytest.raises(Invalid, match=r"^timezone: "):
        period_between("today", zone)


def test_a_moment_is_iso_8601() -> None:
    for text in ("2026-02-22T10:30:00Z", "2026-02-22t12:30+02:00", "2026-02-22 10:30", "2026-02-22T10:30:00.0000000Z"):
        assert written(moment_of(text)) == "02-22 10:30", text
    # as Postgres, BigQuery and Jekyll write it, and with ISO's comma
    for text in ("2026-02-22 10:30:00.12+00", "2026-02-22 10:30:00 UTC", "2026-02-22 12:30:00 +0200"):
        assert written(moment_of(text)) == "02-22 10:30", text
    assert written(moment_of("2026-02-22T10:30:00,5Z")) == "02-22 10:30"
    assert written(moment_of("2026-02-22", ZoneInfo("Asia/Tokyo"))) == "02-21 15:00"
    never = ("", "22.02.2026", "20260222", "2026-W08-7", "2026-02-22T25:00", "17717562", "0001-01-01T00:00+14")
    for text in (*never, "2026-02-22 10:30 CET", "2026-02-22 10:30 02:00", "2026-02-22T23:59:60Z"):
        with pytest.raises(ValueError, match=r"^must be an ISO 8601"):
            moment_of(text)
