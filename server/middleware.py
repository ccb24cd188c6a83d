"""The envelope of every request: its id, the true client address, clean headers, security headers, one log line."""

import ipaddress
import logging
import time
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import csp
from server.logs import request_id
from server.metrics import Metrics
from server.models.base import new_id
from server.settings import Settings

log = logging.getLogger("server.requests")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": csp.API,
    "Cache-Control": "no-store",
}
HSTS = "max-age=31536000; includeSubDomains"


class Envelope:
    """Pure ASGI, outermost: what it adds is there on every answer, the 500 included."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self.trusted = networks(settings.trusted_proxies)
        self.headers = SECURITY_HEADERS | ({"Strict-Transport-Security": HSTS} if settings.is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Some servers keep blanks at the end of a header's value; RFC 9110 section 5.5 says they are not part of it.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        scope["client"] = (self._client(scope), 0)
        # Postgres takes no NUL, so nothing has a name with one: like this it is looked for and not found.
        scope["path"] = scope["path"].replace("\0", "\N{REPLACEMENT CHARACTER}")
        name = new_id("req_")
        token = request_id.set(name)
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = name
                for header, value in self.headers.items():
                    headers.setdefault(header, value)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            spent, route = time.perf_counter() - began, _route(scope)
            told = {"method": scope["method"], "route": route, "status": status, "ms": round(spent * 1000, 1)}
            log.info("request", extra=told)
            self.metrics.count_request(scope["method"], route, status, spent)
            request_id.reset(token)

    def _client(self, scope: Scope) -> str:
        """The right-most hop that is not a trusted proxy; forwarded addresses of anybody else change nothing."""
        hop: str = (scope.get("client") or ("unknown", 0))[0]
        forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        for earlier in reversed([part.strip() for part in forwarded if part.strip()]):
            if not is_within(hop, self.trusted) or not _is_address(earlier):
                break
            hop = earlier
        return hop


def networks(addresses: Sequence[str]) -> list[Network]:
    """Addresses and CIDR blocks. Raises ValueError."""
    return [ipaddress.ip_network(address, strict=False) for address in addresses]


def is_within(address: str, blocks: Sequence[Network]) -> bool:
    if not _is_address(address):
        return False
    known = ipaddress.ip_address(address)
    known = getattr(known, "ipv4_mapped", None) or known  # how a listener for both kinds shows IPv4
    return any(known in block for block in blocks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _route(scope: Scope) -> str:
    """The route's pattern, never the path: a path may hold an invitation's token."""
    route = scope.get("route")
    return getattr(route, "path", None) or scope.get("route_pattern") or "-"
