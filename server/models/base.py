"""What all tables share: named constraints, UTC times, prefixed time-ordered ids."""

import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
    """A moment in UTC with microseconds, aware on both sides whatever the database keeps."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def now() -> datetime:
    return datetime.now(UTC)


def enum_check(name: str, column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """A check constraint that keeps a column to an enumeration's values."""
    listed = ", ".join(f"'{value.value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name)


def foreign_key(
    column: str, *, on_delete: str = "CASCADE", nullable: bool = False, index: bool = False, **options: Any
) -> Any:
    """Return a foreign key column. `on_delete` is what SQL does to this row when the referenced row is deleted."""
    return sa.Column(sa.ForeignKey(column, ondelete=on_delete), nullable=nullable, index=index, **options)


_ID = re.compile(r"[0-9a-f]{32}")
_FIFTY_BITS = (1 << 50) - 1
_last = 0
_ids = threading.Lock()


def new_id(prefix: str, at: datetime | None = None) -> str:
    """`prefix` + UUIDv7 (RFC 9562 section 5.7): the text order of ids is the order of their moments.

    Without `at` it is now, and ids of one process never stand still; with `at` the id takes its place in the past, and
    those of the same moment stand in the order in which they are made.
    """
    ticks, rest = _next_ticks(), secrets.randbits(62)
    if at is not None:
        rest = (ticks & _FIFTY_BITS) << 12 | rest & 0xFFF
        ticks = int(at.timestamp() * 1_000_000) * 4096 // 1000
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | rest
    return f"{prefix}{value:032x}"


def is_id(prefix: str, text: str) -> bool:
    """Whether the text has the form of such an id: what has not names nothing, and need not be looked for."""
    return text.startswith(prefix) and _ID.fullmatch(text, len(prefix)) is not None


def _next_ticks() -> int:
    """Time in 1/4096 milliseconds, at least one more than the last that was given out."""
    global _last
    with _ids:
        _last = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
        return _last
