"""CORS: which pages of other origins may read our answers (Fetch standard, "CORS protocol")."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.network.urls import is_loopback, origin_of
from server.setting_types import ANY
from server.settings import Settings
from server.web.request_credentials import own_origins

MCP_PATH = "/mcp"
PUBLIC_PATHS = frozenset({"/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/jwks"})
PUBLIC_PREFIXES = ("/.well-known/", "/mcp/.well-known/")
APP_SCHEMES = frozenset(
    {"chrome-extension", "moz-extension", "safari-web-extension", "vscode-webview", "app", "tauri", "capacitor"}
)
"""The schemes of browser extensions and desktop shells, which web pages cannot have."""

_NAMES = re.compile(r"[\w!#$%&'*+.^`|~, -]{1,1000}", re.ASCII)
EXPOSED = {"Access-Control-Expose-Headers": "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After"}
PREFLIGHT = {"Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE, OPTIONS", "Access-Control-Max-Age": "7200"}
REQUEST_HEADERS = (
    "Authorization, X-API-Key, Content-Type, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID"
)


class CallerOrigins:
    """The origins that may call the doors that take no cookie: `origin in CallerOrigins(settings)`."""

    def __init__(self, settings: Settings) -> None:
        self._listed = own_origins(settings) | set(settings.allowed_origins)
        self._is_local = is_loopback(settings.public_url)

    def __contains__(self, origin: str) -> bool:
        if origin in self._listed or ANY in self._listed:
            return True
        scheme, separator, _ = origin.lower().partition("://")
        if scheme in APP_SCHEMES:
            return bool(separator)
        return self._is_local and origin_of(origin) is not None and is_loopback(origin)


class Cors:
    """Middleware outside the error handlers, so that errors have the headers too.

    Every origin may read the paths that OAuth clients need; `CallerOrigins` may read /mcp. Cookies are never allowed.
    All other paths have no CORS headers.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.origins = CallerOrigins(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_shared(scope["path"]):
            await self.app(scope, receive, send)
            return
        request = Headers(scope=scope)
        headers = EXPOSED | self._allowed(scope["path"], request.get("origin"))
        if scope["method"] == "OPTIONS":
            headers |= PREFLIGHT | {"Access-Control-Allow-Headers": _request_headers(request)}
            await Response(status_code=204, headers=headers)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self.app(scope, receive, sending)

    def _allowed(self, path: str, origin: str | None) -> dict[str, str]:
        if path != MCP_PATH:
            return {"Access-Control-Allow-Origin": "*"}
        allowed = {"Access-Control-Allow-Origin": origin} if origin and origin in self.origins else {}
        return {"Vary": "Origin"} | allowed


def _request_headers(preflight: Headers) -> str:
    """Return the headers that clients need, and those that the preflight names. No header decides what a page may do:
    without a cookie, only a credential that the page has itself does.
    """
    requested = preflight.get("access-control-request-headers", "")
    return f"{REQUEST_HEADERS}, {requested}" if _NAMES.fullmatch(requested) else REQUEST_HEADERS


def is_shared(path: str) -> bool:
    """Return whether the path has CORS headers."""
    return path == MCP_PATH or path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)
