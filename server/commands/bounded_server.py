"""uvicorn's server with an end: a stop takes `END_SECONDS` at most, whatever hangs."""

import logging
import os
import socket
import threading

import uvicorn

log = logging.getLogger(__name__)

STOP_SECONDS = 4
"""Requests have this long to end after SIGTERM."""

END_SECONDS = 4.8
"""The process has ended after this time. What is acknowledged is in the database, so nothing is lost."""


class BoundedServer(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        clock = threading.Timer(END_SECONDS, end_now)
        clock.daemon = True
        clock.start()
        await super().shutdown(sockets)


def end_now() -> None:
    """End the process without waiting for its threads."""
    log.warning("the stop took too long, what still ran was given up")
    os._exit(0)
