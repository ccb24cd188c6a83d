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


class Stream:
    """An open stream. `is_ended` says that it must not send more."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self._ended = asyncio.Event()

    @property
    def is_ended(self) -> bool:
        return self._ended.is_set()

    def end(self) -> None:
        self._ended.set()

    async def wait(self, seconds: float) -> None:
        """Wait until the stream is ended, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()


_open = set[Stream]()


@contextlib.contextmanager
def opened(user_id: str) -> Iterator[Stream | None]:
    """Yield a new stream, which is open until the block ends, or None if there is no room for it."""
    if len(_open) >= MOST_STREAMS or sum(stream.user_id == user_id for stream in _open) >= MOST_PER_PERSON:
        yield None
        return
    stream = Stream(user_id)
    _open.add(stream)
    try:
        yield stream
    finally:
        _open.discard(stream)


def end_all() -> None:
    """End all streams, because the server stops."""
    for stream in _open:
        stream.end()
