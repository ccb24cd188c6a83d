"""HTTP connections: answers an invalid HTTP request with JSON, limits the time and the size of a request's head, and
sends a short answer in one piece.
"""

import asyncio
import json
import logging
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.commands.http_parser import HttpParser, has_offer
from server.machine.open_files import most_connections
from server.models.base import new_id

log = logging.getLogger(__name__)

DETAIL = (
    "This is not a valid HTTP request: use a known method, one Host header, header lines without control characters, "
    "and a URL and headers of at most 64 KB together."
)
MOST_HEAD_BYTES = 64_000
"""The largest URL and headers together. Nothing else bounds them: a stranger could fill the memory with headers."""

MOST_QUEUED = 20
"""How many requests of a connection may wait for the answers to earlier ones. A queued one takes 200 times the memory
of its text.
"""

MOST_UNREAD_BYTES = 256_000_000
"""How much of the answers of a process may wait in memory for clients that read slowly. One answer has up to 4 MB."""


class Refused(Exception):
    """Raised in the parser's callbacks, so that it stops and the connection is closed."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits for clients that are slow, have vanished, or send too much.

    - It closes a connection if the head of its first request, or of a later one that has begun, is incomplete after the
      time for idle connections, or if a request's body is incomplete for as long after the answer.
    - If a process has too many connections, it closes the one that has waited longest for a request or for the rest.
    - It refuses a head that is too large, too many bytes outside of bodies (trailers, chunk extensions), and too many
      requests at once.
    - It aborts a connection whose client reads nothing of an answer for the time for idle connections. If the clients
      of a process have too much unread together, it aborts those with the most.
    - It declines other protocols.
    """

    unread: ClassVar[dict["HttpProtocol", None]] = {}
    """The connections of the process whose clients have not read what was sent, in the order in which they began."""

    waiting: ClassVar[dict["HttpProtocol", None]] = {}
    """The connections of the process that wait for a request or for the rest of it, in the order of the wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class
        super().connection_made(transport)
        self.parser = HttpParser(self)
        self._whole = WholeAnswers(transport)
        self.transport = cast(asyncio.Transport, self._whole)
        self._is_head_due = True
        self._is_body_due = False
        self._head_bytes = 0
        self._bytes_beside_bodies = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._watch_head()
        self.waiting[self] = None
        if len(self.connections) > most_connections():
            longest = next(iter(self.waiting))
            del self.waiting[longest]
            longest.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_head_due = self._is_body_due = False
        self._watch_head()
        self._stop_watching_unread()
        self.unread.pop(self, None)
        self.waiting.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._bytes_beside_bodies += len(data)
        super().data_received(data)
        # The parser joins a long header without a callback until it ends.
        if self._bytes_beside_bodies > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(DETAIL)
        self._watch_head()

    def _unset_keepalive_if_required(self) -> None:
        """Keep the time limit while the body of an answered request is incomplete. One byte would end it for good."""
        if not (self._is_body_due and self.cycle.response_complete):
            super()._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()  # the body of the request before may have ended in the same data
        self._is_head_due = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add the header. Drops the trailers after a body: a proxy that checks or sets a header does not look at them
        (RFC 9110 section 6.5.1).
        """
        if self._is_head_due:
            self._count(len(name) + len(value))
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._is_head_due = False
        self._bytes_beside_bodies = 0
        self._require_one_host()
        if has_offer(self.parser):
            return
        self._is_body_due = True
        self._restart_wait()
        super().on_headers_complete()
        if len(self.pipeline) > MOST_QUEUED:
            raise Refused

    def _require_one_host(self) -> None:
        """Refuse a request with several hosts, or none (RFC 9112 section 3.2): a proxy could go by another one."""
        hosts = [name for name, _ in self.headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            raise Refused

    def on_message_complete(self) -> None:
        if not has_offer(self.parser):
            self._is_body_due = False
            super().on_message_complete()
            if not self.cycle.response_complete:
                self.waiting.pop(self, None)

    def on_body(self, body: bytes) -> None:
        self._bytes_beside_bodies = 0
        self._restart_wait()
        super().on_body(body)

    def _restart_wait(self) -> None:
        if self in self.waiting:  # no request is in progress
            del self.waiting[self]
            self.waiting[self] = None

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MOST_HEAD_BYTES:
            raise Refused

    def _watch_head(self) -> None:
        if self._is_head_due and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.timeout_keep_alive, self.transport.close)
        elif not self._is_head_due and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_unread()
        self.unread[self] = None
        self._limit_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.unread.pop(self, None)

    def _limit_unread(self) -> None:
        """Abort connections until the limit for all is kept: those with the most unread first, of these the oldest."""
        sizes = {connection: connection._whole.held_bytes for connection in self.unread}
        unread = sum(sizes.values())
        if unread <= MOST_UNREAD_BYTES:
            return
        log.warning("answers were cut off, because clients read too slowly", extra={"unread_bytes": unread})
        for connection in sorted(sizes, key=sizes.__getitem__, reverse=True):
            unread -= sizes[connection]
            del self.unread[connection]
            connection.transport.abort()
            if unread <= MOST_UNREAD_BYTES:
                return

    def timeout_keep_alive_handler(self) -> None:
        """Close the idle connection, which still waits until the answer is read."""
        super().timeout_keep_alive_handler()
        self._watch_unread()

    def _watch_unread(self, before: int | None = None) -> None:
        """Abort the connection if no fewer than `before` bytes are unread. None begins to watch."""
        self._stop_watching_unread()
        unread = self.transport.get_write_buffer_size()
        if before is not None and unread >= before:
            self.transport.abort()
        elif unread:
            self._unread_timer = self.loop.call_later(self.timeout_keep_alive, self._watch_unread, unread)

    def _stop_watching_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def on_response_complete(self) -> None:
        self._whole.flush()  # the answer to HEAD has no body
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None or (self._is_body_due and not self.pipeline):
            self.waiting[self] = None

    def send_400_response(self, _msg: str) -> None:
        """Answer with `DETAIL` and close the connection. The application never sees such a request."""
        body = json.dumps({"detail": DETAIL})
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "x-request-id": new_id("req_"),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(STATUS_LINE[400] + f"{lines}\r\n{body}".encode("ascii"))
        self.transport.close()


class WholeAnswers:
    """A transport that keeps the head of an answer of known length until its body comes, and sends both together.

    uvicorn writes them one after the other. A second system call, which also wakes the client a second time, takes a
    tenth of the time of a short answer.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._last_bytes = 0

    @property
    def held_bytes(self) -> int:
        """How much memory the unread answers take. The last one stays in memory as a whole until it is read."""
        unread: int = self._transport.get_write_buffer_size()
        return max(unread, self._last_bytes if unread else 0)

    def write(self, data: bytes) -> None:
        if self._transport.is_closing():  # uvicorn goes on with a queued request's answer, and uvloop would raise
            return
        if self._head:
            head, self._head = self._head, b""
            data = head + data  # `writelines` takes as long as two writes
            self._last_bytes = len(data)
            self._transport.write(data)
        elif data.startswith(b"HTTP/1.1 ") and b"\r\ncontent-length: " in data:
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        head, self._head = self._head, b""
        if not self._transport.is_closing():
            self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
