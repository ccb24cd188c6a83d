"""Shared by all tables: constraint names, UTC times, and ids that have a prefix and sort by time."""

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import types
from sqlmodel import SQLModel

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
JsonObject: TypeAlias = dict[str, JSON]

metadata = SQLModel.metadata
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Utc(types.TypeDecorator[datetime]):
    """A time in UTC with microseconds. Python always gets an aware datetime; SQLite stores text without the time zone.

    On SQLite, our own conversions take a third of the time of SQLAlchemy's.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[datetime | None], Any] | None:
        return _time_as_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: sa.Dialect, coltype: Any) -> Callable[[Any], datetime | None] | None:
        return _time_of_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


def _time_as_text(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _time_of_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def now() -> datetime:
    return datetime.now(UTC)


def was_within(time: datetime, period: timedelta) -> bool:
    """Return whether the time is in the last `period`.

    Clocks of different machines differ, so it may be as much later than now. If it is more, it was written before the
    clock was set back, and would otherwise be in the last `period` for years.
    """
    return abs(now() - time) < period


def is_within(column: Any, period: timedelta) -> sa.ColumnElement[bool]:
    """Like `was_within`, in SQL."""
    moment = now()
    return sa.and_(column > moment - period, column < moment + period)


def is_of_later_clock(column: Any, slack: timedelta) -> sa.ColumnElement[bool]:
    """Match times that were written before the clock was set back: later than now by more than `slack`, which is more
    than the clocks of two machines differ.
    """
    is_later: sa.ColumnElement[bool] = column > now() + slack
    return is_later


def enum_check(name: str, column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """Return a check constraint: the column holds one of the enumeration's values."""
    quoted = ", ".join(f"'{value.value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({quoted})", name=name)


def foreign_key(
    column: str, *, on_delete: str = "CASCADE", nullable: bool = False, index: bool = False, **options: Any
) -> Any:
    """Return a foreign key column. `on_delete` is what SQL does to this row when the referenced row is deleted."""
    return sa.Column(sa.ForeignKey(column, ondelete=on_delete), nullable=nullable, index=index, **options)


_ID = re.compile(r"[0-9a-f]{32}")
_FIFTY_BITS = (1 << 50) - 1
_MOST_AHEAD = 12 * 3_600_000 * 4096
"""How far ids may be ahead of the clock, in ticks: less than what filters by time allow (`CLOCK_SLACK`)."""

_last_ticks = 0
_ticks_lock = threading.Lock()


def new_id(prefix: str, at: datetime | None = None) -> str:
    """Return `prefix` + UUIDv7 (RFC 9562 section 5.7). Ids sort as text by their time.

    Without `at` the time is now, and every id of this process is greater than the one before, unless the clock was set
    back by half a day. With `at` the time is `at`, and ids with the same `at` sort in the order of the calls.
    """
    ticks = _next_ticks()
    rest = secrets.randbits(62)
    if at is not None:
        rest = (ticks & _FIFTY_BITS) << 12 | rest & 0xFFF
        ticks = int(at.timestamp() * 1_000_000) * 4096 // 1000
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | rest
    return f"{prefix}{value:032x}"


def smallest_id(prefix: str, milliseconds: int) -> str:
    """Return the lower bound of all ids from this time since 1970 on: a UUIDv7 begins with 48 bits of milliseconds."""
    return f"{prefix}{min(max(milliseconds, 0), 2**48 - 1):012x}"


def milliseconds_in(prefix: str, text: str) -> int:
    """Return the time in an id, in milliseconds since 1970."""
    return int(text.removeprefix(prefix)[:12], 16)


def time_in(prefix: str, text: str) -> datetime:
    return datetime.fromtimestamp(milliseconds_in(prefix, text) / 1000, UTC)


def is_id(prefix: str, text: str) -> bool:
    """Return whether the text has the form of an id with this prefix."""
    return text.startswith(prefix) and _ID.fullmatch(text, len(prefix)) is not None


def _next_ticks() -> int:
    """Return the time in 1/4096 milliseconds, or one more than the last call returned if the clock has not advanced."""
    global _last_ticks
    with _ticks_lock:
        ticks = time.time_ns() * 4096 // 1_000_000
        _last_ticks = ticks if _last_ticks > ticks + _MOST_AHEAD else max(_last_ticks + 1, ticks)
        return _last_ticks
