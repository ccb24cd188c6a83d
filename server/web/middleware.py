"""The outermost middleware: request id, forwarded headers, security headers, request log, metrics."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import waits
from server.errors import RateLimited, ServiceError, Unavailable
from server.logs import client_address, request_id
from server.metrics import Metrics
from server.models.base import new_id
from server.network.urls import host_of, host_of_header, is_loopback, without_slash
from server.settings import Settings
from server.shell.runtime import State
from server.shell.shares import person
from server.web import csp
from server.web.forwarding import apply_forwarding, networks
from server.web.request_credentials import address_of, presents_credential

log = logging.getLogger("server.requests")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # With "same-origin", a client that opened the sign-in in a pop-up would lose access to that window. Dashboard pages
    # override this header.
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Content-Security-Policy": csp.API,
    "Cache-Control": "no-store",
}
PLAIN_REFERRER_POLICY = "same-origin"
"""For pages over plain http, where browsers send no Sec-Fetch-Site. With "no-referrer", they send no Origin either."""

LONGEST_HOST = 260
"""A name and a port (RFC 1035 section 2.3.4). The answers for longer texts would only fill the memory."""

HSTS = "max-age=31536000"
"""For this host only. The names below it may be other services, which plain http would no longer reach."""


Answer = Callable[[Request[State], ServiceError], Awaitable[Response]]


class Envelope:
    """Outermost, so that every answer has the headers, even a 500. `answer` turns a failure into an answer."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, answer: Answer) -> None:
        self.app, self.metrics, self.answer = app, metrics, answer
        self.trusted = networks(settings.trusted_proxies)
        self.secure_host = host_of(settings.public_url) if settings.is_https else None
        secure = SECURITY_HEADERS | ({"Strict-Transport-Security": HSTS} if settings.is_https else {})
        self.headers = {False: _raw(secure), True: _raw(secure | {"Referrer-Policy": PLAIN_REFERRER_POLICY})}
        """The headers for https (False) and for pages that browsers treat as plain http (True)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Some servers keep the whitespace around a header's value, which is not part of it (RFC 9110 section 5.5).
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        apply_forwarding(scope, self.trusted)
        # Postgres refuses NUL in a query. No name contains this character, so the lookup gives "not found".
        path = scope["path"].replace("\0", "\N{REPLACEMENT CHARACTER}")
        scope["path"] = without_slash(scope["method"], path)
        new_request_id = new_id("req_")
        token = request_id.set(new_request_id)
        address_token = client_address.set(address_of(HTTPConnection(scope)))
        person.set("")
        waits.begin()
        started, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                is_plain = not (300 <= status < 400 or self._is_secure(scope))
                app_headers = list(message.get("headers", ()))
                names = {name for name, _ in app_headers}
                ours = ((name, value) for name, value in self.headers[is_plain] if name not in names)
                message["headers"] = [*app_headers, (b"x-request-id", new_request_id.encode()), *ours]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except asyncio.CancelledError:  # the server is stopping, and no longer waits for its requests
            if status:
                raise
            answer = await self.answer(Request(scope, receive), Unavailable())
            await answer(scope, receive, sending)
        finally:
            self._record(scope, status or 500, time.perf_counter() - started)
            request_id.reset(token)
            client_address.reset(address_token)

    def _record(self, scope: Scope, status: int, spent: float) -> None:
        route = route_of(scope)
        fields = {"method": scope["method"], "route": route, "status": status, "ms": round(spent * 1000, 1)}
        if 400 <= status < 500:
            fields |= {"address": client_address.get()} | ({"user_id": person.get()} if person.get() else {})
        log.log(logging.DEBUG if route.startswith("/static/") else logging.INFO, "request", extra=fields)
        self.metrics.count_request(scope["method"], route, status, spent)

    def _is_secure(self, scope: Scope) -> bool:
        """Return whether browsers treat the page as a secure context: loopback, or PUBLIC_URL under https."""
        host = Headers(scope=scope).get("host", "")
        return len(host) <= LONGEST_HOST and (_is_local(host) or host_of_header(host) == self.secure_host)


@lru_cache(1024)
def _is_local(host: str) -> bool:
    return is_loopback(f"//{host_of_header(host)}")


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


PROBES = frozenset(("/health/live", "/health/ready"))
"""The paths that no limit counts: a proxy may have one address for all its clients, and an orchestrator kills a server
whose probe is refused.
"""


class Strangers:
    """Counts requests without a credential by their address. `answer` turns a refusal into a response."""

    def __init__(self, app: ASGIApp, answer: Answer) -> None:
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        is_counted = scope["type"] == "http" and scope["path"] not in PROBES
        if is_counted and not presents_credential(HTTPConnection(scope)):
            try:
                await scope["state"]["runtime"].count_request()
            except RateLimited as error:
                app = await self.answer(Request(scope, receive, send), error)
        await app(scope, receive, send)


def route_of(scope: Scope) -> str:
    """Return the route's pattern. Never log the path: it may hold an invitation's token."""
    return getattr(scope.get("route"), "path", None) or "-"
