"""How a connection speaks HTTP: refuses what is no HTTP request with JSON, limits the time for a request's head, and
sends an answer in one piece.
"""

import asyncio
import json
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from server.models.base import new_id

DETAIL = (
    "This is not a valid HTTP request: use a known method, header lines without control characters, and a URL of at "
    "most 64 KB."
)


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection whose first request, or a later one that has begun, has no complete head within the time for
    idle connections. Otherwise, clients that have vanished would use up all files of the process.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class
        super().connection_made(transport)
        self._whole = WholeAnswers(transport)
        self.transport = cast(asyncio.Transport, self._whole)
        self._is_head_due = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_head_due = False
        self._watch_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_message_begin(self) -> None:
        self._is_head_due = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_head_due = False
        super().on_headers_complete()

    def _watch_head(self) -> None:
        if self._is_head_due and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.timeout_keep_alive, self.transport.close)
        elif not self._is_head_due and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        self._whole.flush()  # the answer to HEAD has no body
        super().on_response_complete()

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

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)  # `writelines` takes as long as two writes
        elif data.startswith(b"HTTP/1.1 ") and b"\r\ncontent-length: " in data:
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        head, self._head = self._head, b""
        self._transport.write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
