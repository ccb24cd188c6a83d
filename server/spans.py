"""Names a part of a request's work. If tracing is on, it becomes a span; otherwise it costs nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

start: ContextVar[Callable[[str], AbstractContextManager[object]] | None] = ContextVar("start", default=None)
"""The function that starts a span inside the current request; None if tracing is off."""


def span(name: str) -> AbstractContextManager[object]:
    """Return a context manager that adds its duration to the trace of the current request."""
    begin = start.get()
    return begin(name) if begin else nullcontext()
