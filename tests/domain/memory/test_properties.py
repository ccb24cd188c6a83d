"""Properties of periods, filters and labels that hold for generated input."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from server.domain.memory.filters import Filters, conditions, narrowing
from server.domain.memory.labels import fold, hash_entry, parse_list
from server.domain.memory.metadata import parse_metadata
from server.domain.memory.periods import moment_of, period_between, period_of, week_of
from server.errors import Invalid

Result = TypeVar("Result")
Refusal = TypeVar("Refusal", bound=Exception)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 24 * 60 * 60 * 1_000_000
QUICK = settings(max_examples=60, deadline=None)  # no deadline: the machine may be busy

ZONES = st.sampled_from(
    [
        ZoneInfo(name)
        for name in (
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",  # its clock changes by half an hour
            "Africa/Cairo",  # its clock changes at midnight
            "America/Sao_Paulo",  # its clock changed at midnight until 2019
            "Pacific/Apia",  # it had no 30 December 2011
            "Asia/Kathmandu",  # its offset is 5:45
        )
    ]
)
MOMENTS = st.integers(2 * 365 * DAY, 130 * 365 * DAY).map(lambda n: EPOCH + timedelta(microseconds=n))  # 1971 to 2099
DAYS = st.dates(date(1972, 1, 1), date(2100, 1, 1))
NEAR_MISSES = st.from_regex(r"\A(last|this)[ _]-?[0-9]{0,8}[ _]?(day|hour|week|month|year)s?\Z") | st.from_regex(
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?\Z"
)
BOUNDS = DAYS.map(str) | MOMENTS.map(str) | st.text()
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=",،、，､\0"), max_size=12)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=6,
)


def outcome(refusal: type[Refusal], parse: Callable[..., Result], *args: object) -> Result | Refusal:
    """Return what `parse` returns, or the error with which it refuses the arguments."""
    try:
        return parse(*args)
    except refusal as error:
        return error


@QUICK
@given(st.text() | NEAR_MISSES, ZONES, MOMENTS)
def test_any_text_is_a_period_that_ends_after_it_starts_or_is_refused(
    text: str, zone: ZoneInfo, moment: datetime
) -> None:
    period = outcome(Invalid, period_of, text, zone, moment)
    if isinstance(period, Invalid):
        assert period.field == "temporal_filter"
    else:
        assert period.start is not None
        assert period.start < (period.end or moment)


@QUICK
@given(st.dates(date(1972, 1, 9), date(2100, 1, 1)), st.integers(-3, 3), ZONES, MOMENTS)
def test_a_range_includes_both_days_and_is_refused_backwards(
    first: date, days: int, zone: ZoneInfo, moment: datetime
) -> None:
    last = first + timedelta(days=days)
    period = outcome(Invalid, period_of, f"{first}..{last}", zone, moment)
    if days < 0:
        assert isinstance(period, Invalid)
    else:
        starts_first, ends_last = (period_of(str(day), zone, moment) for day in (first, last))
        assert period == (starts_first.start, ends_last.end)


@QUICK
@given(BOUNDS, BOUNDS, st.sampled_from(["UTC", "Europe/Berlin"]) | st.text())
def test_bounds_that_are_accepted_are_in_order(after: str, before: str, zone: str) -> None:
    period = outcome(Invalid, period_between, None, zone, after, before)
    if isinstance(period, Invalid):
        assert period.field in ("timezone", "created_after", "created_before")
    else:
        assert period.start is not None
        assert period.end is not None
        assert period.start < period.end


@pytest.mark.parametrize("unit", ["week", "month", "year"])
@QUICK
@given(zone=ZONES, moment=MOMENTS)
def test_this_period_contains_the_moment_and_the_last_one_ends_where_it_starts(
    unit: str, zone: ZoneInfo, moment: datetime
) -> None:
    this, last = (period_of(f"{word}_{unit}", zone, moment) for word in ("this", "last"))
    assert this.start is not None
    assert this.end is not None
    assert this.start <= moment < this.end
    assert last.end == this.start


@QUICK
@given(ZONES, MOMENTS)
def test_today_contains_the_moment_and_yesterday_ends_where_it_starts(zone: ZoneInfo, moment: datetime) -> None:
    today, yesterday = period_of("today", zone, moment), period_of("yesterday", zone, moment)
    assert today.start is not None
    assert today.end is not None
    assert today.start <= moment < today.end
    assert yesterday.end == today.start


@QUICK
@given(DAYS)
def test_a_week_is_seven_days_from_monday_and_contains_the_day(day: date) -> None:
    monday, next_monday = week_of(day)
    assert monday.isoweekday() == 1
    assert next_monday - monday == timedelta(days=7)
    assert monday <= day < next_monday


@QUICK
@given(MOMENTS)
def test_a_moment_is_read_as_it_is_written(moment: datetime) -> None:
    assert moment_of(moment.isoformat()) == moment


@QUICK
@given(VALUES)
def test_folding_a_label_again_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@QUICK
@given(VALUES, st.sampled_from(["", " ", "\t", "\u3000"]))
def test_case_and_space_do_not_tell_labels_apart(text: str, space: str) -> None:
    assert fold(space + text + space) == fold(text) == fold(text.casefold())


@QUICK
@given(st.lists(VALUES, max_size=8))
def test_comma_text_and_a_list_are_the_same_values(values: list[str]) -> None:
    expected = tuple(value.strip() for value in values if value.strip())
    assert parse_list(values) == parse_list(",".join(values)) == expected
    assert parse_list(list(expected)) == expected


@QUICK
@given(st.none() | st.booleans() | st.integers() | st.lists(st.integers() | VALUES) | JSON_VALUES)
def test_a_list_of_anything_else_is_refused(value: object) -> None:
    values = outcome(ValueError, parse_list, value)
    if isinstance(values, ValueError):
        assert str(values).startswith(("must be", "must not contain NUL"))
    else:
        assert all(item and item == item.strip() and "," not in item for item in values)


@QUICK
@given(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_metadata_that_is_stored_is_stored_again_as_it_is(details: dict[str, Any], tags: Sequence[str]) -> None:
    stored = outcome(ValueError, parse_metadata, {**details, "tags": list(tags)})
    if isinstance(stored, ValueError):
        assert "must" in str(stored)
    else:
        assert parse_metadata(stored) == stored


@QUICK
@given(JSON_VALUES)
def test_a_metadata_entry_is_compared_by_its_json_and_its_key(value: Any) -> None:
    assert hash_entry("key", json.loads(json.dumps(value, sort_keys=True))) == hash_entry("key", value)
    assert hash_entry("other key", value) != hash_entry("key", value)
    assert hash_entry("key", [value]) != hash_entry("key", value)


def has_no_operator(details: dict[str, Any]) -> bool:
    with suppress(Invalid):
        return bool(Filters(metadata=details))
    return False


FILTERS = st.builds(
    Filters,
    user_id=st.none() | VALUES,
    tags=st.lists(VALUES, max_size=3).map(tuple),
    match_all_tags=st.booleans(),
    people=st.lists(VALUES, max_size=3).map(tuple),
    category=st.none() | VALUES,
    created_from=st.none() | MOMENTS,
    created_until=st.none() | MOMENTS,
    metadata=st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=2).filter(has_no_operator),
)


@QUICK
@given(FILTERS)
def test_filters_compile_to_sql_that_names_the_project_first(filters: Filters) -> None:
    within = [str(condition.compile(dialect=sqlite.dialect())) for condition in narrowing(filters, "p")]
    first, living, *rest = (str(condition.compile(dialect=sqlite.dialect())) for condition in conditions(filters, "p"))
    assert "project_id" in first
    assert "expires_at" in living, "what has expired is left out of every answer"
    assert rest == within


@QUICK
@given(FILTERS)
def test_only_filters_with_their_defaults_are_empty(filters: Filters) -> None:
    assert filters.is_empty == (filters == Filters())
    if filters.is_empty:
        assert not narrowing(filters, "p")
