"""The gate of /mcp: where a request comes from, who is calling, whether the credential reaches the tool it names."""

from collections.abc import Awaitable, Callable, Iterator, Set
from urllib.parse import urlsplit

from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from server.errors import Forbidden, Unauthenticated
from server.principal import Principal, Scope
from server.request_credentials import credential_of, own_origins
from server.runtime import Call, State
from server.settings import Settings, is_loopback
from server.wire import read_body, require_json

BODY_LIMIT = 4_000_000
CALL = "selfmemory.call"
"""Where in the ASGI scope a tool finds its call."""

Endpoint = Callable[[Request[State]], Awaitable[ASGIApp]]


def gate(app: ASGIApp, scopes: dict[str, Scope], settings: Settings) -> Endpoint:
    """An endpoint that hands a request on to `app`, or refuses it; `scopes` says what each tool needs."""
    origins = own_origins(settings)
    public_host = urlsplit(settings.public_url).hostname

    async def enter(request: Request[State]) -> ASGIApp:
        require_known_source(request.headers, public_host, origins)
        call = await call_of(request)
        if request.method != "POST":
            raise HTTPException(405, headers={"Allow": "POST, OPTIONS"})
        require_json(request)
        body = await read_body(request, BODY_LIMIT)
        require_scopes(call.principal, scopes, body)
        request.scope[CALL] = call
        return replaying(app, body)

    return enter


def require_known_source(headers: Headers, public_host: str | None, origins: Set[str]) -> None:
    """Refuse DNS rebinding and pages of other origins (MCP transports, "Security Warning").

    Raises HTTPException 421, Forbidden.
    """
    if not is_known(headers.get("host", ""), public_host):
        raise HTTPException(421, "This server does not go by that Host; SELFMEMORY_PUBLIC_URL names it.")
    origin = headers.get("origin")
    if origin is not None and origin not in origins:
        raise Forbidden("Pages of this origin may not call here; SELFMEMORY_ALLOWED_ORIGINS lists those that may.")


def is_known(host: str, public_host: str | None) -> bool:
    """Whether a Host header names this server, on any port; a loopback name cannot be rebound, so it always counts."""
    try:
        return urlsplit(f"//{host}").hostname == public_host or is_loopback(f"//{host}")
    except ValueError:
        return False


async def call_of(request: Request[State]) -> Call:
    """The authenticated call. Only `Authorization: Bearer` counts here. Raises Unauthenticated."""
    runtime = request.state["runtime"]
    if "authorization" not in request.headers:
        raise Unauthenticated
    found = credential_of(request, runtime.settings)
    if found is None or found.is_session:
        raise Unauthenticated(presented=True)
    return Call(runtime, await runtime.authenticate(found))


def require_scopes(principal: Principal, scopes: dict[str, Scope], body: bytes) -> None:
    """Raises InsufficientScope, which becomes an HTTP 403 that OAuth clients step up on.

    Decided from the body, since a header may name another tool. The operations check again.
    """
    if principal.scopes.issuperset(scopes.values()):
        return
    for tool in called_tools(body):
        if tool in scopes:
            principal.require(scopes[tool])


def called_tools(body: bytes) -> Iterator[str]:
    """The tools that a JSON-RPC message, or a batch of them, calls. What is malformed is for the protocol to answer."""
    try:
        decoded = from_json(body)
    except ValueError:
        return
    for message in decoded if isinstance(decoded, list) else [decoded]:
        match message:
            case {"method": "tools/call", "params": {"name": str(name)}}:
                yield name


def replaying(app: ASGIApp, body: bytes) -> ASGIApp:
    """`app`, reading the body that was read already."""

    async def replayed(connection: Connection, receive: Receive, send: Send) -> None:
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        await app(connection, again, send)

    return replayed
