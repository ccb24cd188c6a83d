"""uvicorn's server with a time limit: it stops within `END_SECONDS`, even if something hangs."""

import logging
import os
import socket
import threading
from contextlib import suppress
from types import FrameType

import uvicorn

from server.web import streams

log = logging.getLogger(__name__)

STOP_SECONDS = 4
"""Requests have this long to finish after SIGTERM."""

END_SECONDS = 4.8
"""The process ends within this time. Nothing is lost, because every acknowledged change is in the database."""


class BoundedServer(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open streams, so that nothing waits for them, then stop the way uvicorn does."""
        streams.end_all()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember the signal, even during startup, and start the time limit."""
        is_first = not self.should_exit
        super().handle_exit(sig, frame)
        if is_first:
            clock = threading.Timer(END_SECONDS, end_now)
            clock.daemon = True
            with suppress(RuntimeError):  # the system allows no further thread
                clock.start()


def end_now() -> None:
    """End the process without waiting for its threads."""
    log.warning("stopping took too long; unfinished work was abandoned")
    os._exit(0)
