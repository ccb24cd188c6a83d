"""The gate of /mcp: checks where a request comes from, its credential, and the scope for the tool that it calls."""

from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Iterator, Sequence

from mcp.types import PARSE_ERROR
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from server.errors import Forbidden, Invalid, Unauthenticated
from server.network.urls import address_of, host_of, host_of_header, is_local_name, is_loopback
from server.principal import Principal, Scope
from server.setting_types import ANY
from server.settings import Settings
from server.shell.runtime import Call, State
from server.text.json_text import parse_json
from server.web.cors import CallerOrigins
from server.web.dispatch import not_allowed
from server.web.forwarding import joined
from server.web.request_credentials import credential_of, has_credential_header
from server.web.wire import read_body, require_json
from tools.protocol import MOST_PARTS, corrected_app, failure

BODY_LIMIT = 4_000_000
HOST_LENGTH = 253
"""Maximum length of a host name."""
CALL = "selfmemory.call"
"""The key in the ASGI scope under which a tool finds its Call."""

Endpoint = Callable[[Request[State]], Awaitable[ASGIApp]]


def gate(app: ASGIApp, scopes: dict[str, Scope], settings: Settings) -> Endpoint:
    """Return an endpoint that checks a request and passes it to `app`. `scopes` maps each tool to its scope."""
    origins = CallerOrigins(settings)
    hosts = (host_of(settings.public_url), *settings.allowed_hosts)

    async def enter(request: Request[State]) -> ASGIApp:
        require_known_source(request.headers, hosts, origins)
        call = await call_of(request)
        if request.method != "POST":
            raise not_allowed("POST, OPTIONS")
        require_json(request)
        request.scope[CALL] = call
        return answering(request, call)

    def answering(request: Request[State], call: Call) -> ASGIApp:
        async def run(connection: Connection, receive: Receive, send: Send) -> None:
            async with call.runtime.pools.bodies.slot_when_needed(call.caller) as when_large:
                body = (await read_body(request, BODY_LIMIT, when_large)).removeprefix(BOM_UTF8)
                await checked(request, call, body)(connection, receive, send)

        return run

    def checked(request: Request[State], call: Call, body: bytes) -> ASGIApp:
        try:
            # The tool itself reports which argument is infinite or NaN.
            message = parse_json(body, allow_inf_nan=True, most_parts=MOST_PARTS)
        except Invalid as error:
            return failure(PARSE_ERROR, error.detail)
        require_scopes(call.principal, scopes, message)
        return corrected_app(app, request.headers, body, message)

    return enter


def require_known_source(headers: Headers, hosts: Sequence[str], origins: CallerOrigins) -> None:
    """Refuse DNS rebinding and pages of other origins (MCP transports, "Security Warning").

    Raises HTTPException 421 for an unknown Host, Forbidden for an unknown Origin.
    """
    host = host_of_header(joined(headers, "host"))
    if not is_known(host, hosts):
        raise HTTPException(
            421,
            f"This server does not answer for the Host {host[:HOST_LENGTH] or 'of this request'}. "
            "Set SELFMEMORY_PUBLIC_URL to its address, or add it to SELFMEMORY_ALLOWED_HOSTS.",
        )
    if not all(origin in origins for origin in headers.getlist("origin")):
        raise Forbidden("This origin may not call this server. Add it to SELFMEMORY_ALLOWED_ORIGINS.")


def is_known(host: str, hosts: Sequence[str]) -> bool:
    """Return whether a host is in `hosts`, or is an IP address or a local name, which nobody else can rebind."""
    if not host:
        return False
    if address_of(host) or is_local_name(host) or is_loopback(f"//{host}"):
        return True
    return any(name in (host, ANY) or (name.startswith("*.") and host.endswith(name[1:])) for name in hosts)


async def call_of(request: Request[State]) -> Call:
    """Authenticate the request by an API key or access token, never by a session. Raises Unauthenticated."""
    runtime = request.state["runtime"]
    if not has_credential_header(request):
        raise Unauthenticated
    credential = credential_of(request, runtime.settings)
    if credential is None or credential.is_session:
        raise Unauthenticated(reason="session")
    return Call(runtime, await runtime.authenticate(credential))


def require_scopes(principal: Principal, scopes: dict[str, Scope], message: object) -> None:
    """Raises InsufficientScope: its HTTP 403 makes OAuth clients request more scopes.

    The tool in the body counts, because a header may name another one. The operations check the scopes again.
    """
    if principal.scopes.issuperset(scopes.values()):
        return
    for tool in called_tools(message):
        if tool in scopes:
            principal.require(scopes[tool])


def called_tools(message: object) -> Iterator[str]:
    """Yield the tools that a JSON-RPC message or batch calls."""
    for one in message if isinstance(message, list) else [message]:
        match one:
            case {"method": "tools/call", "params": {"name": str(name)}}:
                yield name
