"""The time budget for all waits of a request: for slots, for the right to write, for a lock.

Work between the waits does not count, so a large batch may embed for minutes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

WAIT_SECONDS = 15.0
"""A request whose waits add up to more than this gets a 503."""

NOTABLE_SECONDS = 0.1
"""Only after longer waits does a transaction get a shorter time limit for the file or a lock, because that takes extra
statements.
"""

WRITES = "writes"
"""The execution option of connections for transactions that may write."""


@dataclass(slots=True)
class _Waits:
    """The threads of a request share this object, because each has a copy of the request's context."""

    spent_seconds: float = 0.0
    most_seconds: float | None = None
    """None means `WAIT_SECONDS`."""


_waits: ContextVar[_Waits | None] = ContextVar("waits", default=None)


def begin() -> None:
    """Start a new budget in this context. Without one, each wait has the whole budget."""
    _waits.set(_Waits())


@contextmanager
def renewed(most_seconds: float | None = None) -> Iterator[None]:
    """Give the block a new budget, of `most_seconds` if given, and return to the present one afterwards."""
    token = _waits.set(_Waits(most_seconds=most_seconds))
    try:
        yield
    finally:
        _waits.reset(token)


def seconds_left() -> float:
    """Return the seconds that are left to wait, at least 0."""
    waits = _waits.get()
    if waits is None:
        return WAIT_SECONDS
    most = WAIT_SECONDS if waits.most_seconds is None else waits.most_seconds
    return max(most - waits.spent_seconds, 0.0)


@contextmanager
def counted() -> Iterator[float]:
    """Yield the seconds that are left, and deduct the time that the block takes."""
    waits = _waits.get()
    began = time.monotonic()
    try:
        yield seconds_left()
    finally:
        if waits is not None:
            waits.spent_seconds += time.monotonic() - began
