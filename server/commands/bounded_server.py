"""uvicorn's server with a bound: a stop takes at most `END_SECONDS`, even if something hangs."""

import logging
import os
import socket
import threading
from types import FrameType

import uvicorn

from server import streams

log = logging.getLogger(__name__)

STOP_SECONDS = 4
"""Requests have this long to end after SIGTERM."""

END_SECONDS = 4.8
"""The process has ended after this time. What is acknowledged is in the database, so nothing is lost."""


class BoundedServer(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open streams, so that nothing waits for them, then stop as uvicorn does."""
        streams.end_all()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal, also during the start, and let the time begin."""
        if not self.should_exit:
            clock = threading.Timer(END_SECONDS, end_now)
            clock.daemon = True
            clock.start()
        super().handle_exit(sig, frame)


def end_now() -> None:
    """End the process without waiting for its threads."""
    log.warning("the stop took too long, what still ran was given up")
    os._exit(0)
