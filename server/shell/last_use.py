"""Records when credentials were used, without making requests wait for a database that accepts no writes."""

import time
from collections.abc import Callable
from contextlib import suppress

import anyio

from server import waits
from server.errors import Unavailable
from server.shell.shares import Threads

NOTE_USE_SECONDS = 1.0
"""A request waits at most this long until its credential's use is recorded."""

PAUSE_SECONDS = 60.0
"""After a failure, no use is recorded for this long, so that other requests do not wait."""


class UseRecorder:
    """Records uses of credentials while the database accepts writes. A full or locked database still answers reads.
    Only one thread at a time records a use; requests that arrive during that time are not recorded.
    """

    def __init__(self) -> None:
        self._thread = Threads("last-use", slots=1, share=1)
        self._resting_until = 0.0

    async def note(self, write: Callable[[], None]) -> None:
        if self._thread.used or time.monotonic() < self._resting_until:
            return
        noted = False
        with suppress(Unavailable), anyio.move_on_after(NOTE_USE_SECONDS):  # or no thread can start
            await self._thread.run("", _with_own_waits, write)
            noted = True
        if not noted:
            self._resting_until = time.monotonic() + PAUSE_SECONDS


def _with_own_waits(write: Callable[[], None]) -> None:
    waits.begin()  # this thread has its own time budget, because the request does not wait for it
    write()
