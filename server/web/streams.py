"""Manages this process's open event streams: limits their number, and ends them when the server stops."""

import asyncio
import contextlib
from collections.abc import Iterator

MOST_STREAMS = 50
"""Maximum number of open streams per process. Browsers that are refused try again later."""

MOST_PER_PERSON = 3
"""Maximum number of a person's open streams. This limit is per process too: with several workers, a person may have
this many in each.
"""


_open: dict[asyncio.Event, str] = {}
"""The user of each open stream. The event says that the stream must not send more."""


@contextlib.contextmanager
def opened(user_id: str) -> Iterator[asyncio.Event | None]:
    """Yield the end of a new stream, which is open until the block ends, or None if there is no room for it."""
    if len(_open) >= MOST_STREAMS or list(_open.values()).count(user_id) >= MOST_PER_PERSON:
        yield None
        return
    ended = asyncio.Event()
    _open[ended] = user_id
    try:
        yield ended
    finally:
        del _open[ended]


def end_all() -> None:
    """End all streams, because the server stops."""
    for ended in _open:
        ended.set()
