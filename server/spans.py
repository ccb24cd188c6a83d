"""Names a part of a request's work. Where traces are on, it becomes a span; else naming it costs nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

start: ContextVar[Callable[[str], AbstractContextManager[object]] | None] = ContextVar("start", default=None)
"""What begins a span inside the current request; None while there are no traces."""


def span(name: str) -> AbstractContextManager[object]:
    """Return a block whose duration the trace of the current request shows."""
    begin = start.get()
    return begin(name) if begin else nullcontext()
