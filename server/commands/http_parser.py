"""Parses a request that offers another protocol like any other request."""

from collections.abc import Iterable
from typing import Protocol

import httptools

OFFER = (b"upgrade", b"http2-settings")
"""The headers that describe the other protocol. `Connection` lists them."""


class Connection(Protocol):
    """The part of uvicorn's protocol that holds the parser, and the head that was just parsed."""

    parser: httptools.HttpRequestParser
    url: bytes
    headers: list[tuple[bytes, bytes]]


class HttpParser(httptools.HttpRequestParser):
    """A parser that declines every offer of another protocol (RFC 9110 section 7.8).

    Java's HTTP client offers HTTP/2 in its first request over plain http. httptools takes everything after the head of
    such a request for the other protocol, and then for the next request: the body is lost, and a proxy that has checked
    one request passes on two. So a new parser gets such a head again, without the offer, and parses what follows.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._connection = connection
        # As uvicorn does: answer the first of several requests even if it says `Connection: close`.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # asyncio passes bytes
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not has_offer(self):
                raise
            (end_of_head,) = upgrade.args
            self._connection.parser = HttpParser(self._connection)
            self._connection.parser.feed_data(self._plain_head() + data[end_of_head:])

    def _plain_head(self) -> bytes:
        first = b"%s %s HTTP/%s" % (self.get_method(), self._connection.url, self.get_http_version().encode())
        lines = (b"%s: %s" % header for header in without_offer(self._connection.headers))
        return b"\r\n".join([first, *lines, b"", b""])


def has_offer(parser: httptools.HttpRequestParser) -> bool:
    """Return whether the head that was just parsed will be parsed again. CONNECT is no offer."""
    return parser.should_upgrade() and parser.get_method() != b"CONNECT"


def without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Yield the headers, whose names are in lower case, without those of an offer."""
    for name, value in headers:
        if name == b"connection":
            kept = [token for token in value.split(b",") if token.strip().lower() not in OFFER]
            if kept:
                yield name, b",".join(kept)
        elif name not in OFFER:
            yield name, value
