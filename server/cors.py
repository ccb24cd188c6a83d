"""CORS: which pages of other origins may read our answers (Fetch standard, "CORS protocol")."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.request_credentials import own_origins
from server.settings import Settings

MCP_PATHS = frozenset({"/mcp", "/mcp/"})
PUBLIC_PATHS = frozenset({"/oauth/token", "/oauth/register", "/oauth/revoke"})
PUBLIC_PREFIXES = ("/.well-known/", "/mcp/.well-known/")

EXPOSED = {"Access-Control-Expose-Headers": "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After"}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID"
    ),
    "Access-Control-Max-Age": "7200",
}


class Cors:
    """Middleware outside the error handlers, so that errors have the headers too.

    Every origin may read the paths that OAuth clients need; our own and the configured origins may read /mcp. Cookies
    are never allowed. All other paths have no CORS headers.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.origins = own_origins(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_shared(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = EXPOSED | self._allowed(scope["path"], Headers(scope=scope).get("origin"))
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=headers | PREFLIGHT)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self.app(scope, receive, sending)

    def _allowed(self, path: str, origin: str | None) -> dict[str, str]:
        if path not in MCP_PATHS:
            return {"Access-Control-Allow-Origin": "*"}
        allowed = {"Access-Control-Allow-Origin": origin} if origin in self.origins else {}
        return {"Vary": "Origin"} | allowed


def is_shared(path: str) -> bool:
    """Return whether the path has CORS headers."""
    return path in MCP_PATHS or path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIXES)
