"""One worker process. All workers accept from one socket, and the one with the fewest connections goes first."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, MutableSequence
from typing import Any

import uvicorn
from uvicorn.supervisors.multiprocess import Process

from server.commands.bounded_server import BoundedServer
from server.storage import sqlite

log = logging.getLogger(__name__)

YIELD_SECONDS = 0.002
"""How long a worker leaves a new connection to a worker that has fewer."""

REST_SECONDS = 1.0
"""How long a worker pauses after it failed to accept, usually because it has too many files open."""


class WorkerProcess(Process):
    """`counts` is shared by all workers, and says how many connections each has. This worker writes at `slot`."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        counts: MutableSequence[int],
        slot: int,
        database_file: sqlite.OpenedFile | None,
    ) -> None:
        super().__init__(config, sockets)
        self._database_file = database_file
        self._counts = counts
        self._slot = slot

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        sqlite.share(self._database_file)
        gc.disable()  # collections would take a fifth of the time of the imports; `freeze_start` enables them again
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closing terminal sends it to all: the parent ends the workers
        super().target(sockets)

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = SharingServer(self.config, self._counts, self._slot)
        return self._server


class CountedConnections(set[Any]):  # uvicorn does not export their type
    """The connections of a server. It shares their number with the other workers."""

    def __init__(self, counts: MutableSequence[int], slot: int) -> None:
        super().__init__()
        self._counts = counts
        self._slot = slot

    def add(self, connection: object, /) -> None:
        super().add(connection)
        self._counts[self._slot] = len(self)

    def discard(self, connection: object, /) -> None:
        super().discard(connection)
        self._counts[self._slot] = len(self)


class SharingServer(BoundedServer):
    """Accepts one connection at a time. Otherwise the first worker to wake up would take all connections of a burst."""

    def __init__(self, config: uvicorn.Config, counts: MutableSequence[int], slot: int) -> None:
        super().__init__(config)
        self._counts = counts
        self._slot = slot
        self._listeners: list[socket.socket] = []
        self._accepting: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.server_state.connections = CountedConnections(self._counts, self._slot)
        await super().startup(sockets=[])
        self._counts[self._slot] = 0
        for listener in sockets or []:
            listener.setblocking(False)
            listener.listen(self.config.backlog)
            self._listeners.append(listener)
            self._watch(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        while self._listeners:
            asyncio.get_running_loop().remove_reader(self._listeners.pop())
        if self._accepting:  # uvicorn closes the connections that it knows, and waits for all others
            await asyncio.wait(self._accepting)
        await super().shutdown(sockets)

    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._on_readable, listener)

    def _on_readable(self, listener: socket.socket) -> None:
        if len(self.server_state.connections) + len(self._accepting) > min(self._counts):
            self._rest(listener, YIELD_SECONDS, self._accept_late)
        else:
            self._accept(listener)

    def _accept_late(self, listener: socket.socket) -> None:
        self._watch(listener)
        self._accept(listener)

    def _rest(self, listener: socket.socket, seconds: float, then: Callable[[socket.socket], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(seconds, then, listener)

    def _accept(self, listener: socket.socket) -> None:
        if listener not in self._listeners:
            return
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker accepted it, or the client closed it
        except OSError as error:
            log.warning("cannot accept connections", extra={"reason": error.strerror})
            self._rest(listener, REST_SECONDS, self._watch)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._serve_connection(connection))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    async def _serve_connection(self, connection: socket.socket) -> None:
        config = self.config
        with contextlib.suppress(OSError):  # the client closed the connection
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: config.http_protocol_class(  # type: ignore[call-arg]
                    config=config, server_state=self.server_state, app_state=self.lifespan.state
                ),
                connection,
            )
