"""The credential of a request, the check that a cookie request comes from our own pages, and the client's address."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, cookie_parser

from server.domain.credentials import PresentedCredential
from server.errors import Forbidden, ServiceError, Unauthenticated, WrongAddress
from server.hashing import API_KEY_PREFIX, SESSION_PREFIX
from server.network import urls
from server.setting_types import ANY, OPAQUE_ORIGIN
from server.settings import Settings
from server.shell.runtime import State
from server.web.forwarding import joined

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


KEY_HEADER = "x-api-key"

CREDENTIAL_HEADERS = ("authorization", KEY_HEADER)
MOST_COPIES = 8
"""How often a header may repeat its credential."""

AUTHENTICATED_PATHS = ("/api", "/v1", "/mcp", "/dashboard")
"""The doors that authenticate every request, and count requests with a credential per person."""


def presents_credential(connection: HTTPConnection[State]) -> bool:
    """Return whether the request has a credential that will be looked up, so that it counts per person. All other
    requests count per address.
    """
    if not urls.is_below(connection.scope["path"], AUTHENTICATED_PATHS):
        return False
    try:
        return credential_of(connection, connection.scope["state"]["runtime"].settings) is not None
    except ServiceError:  # the door refuses it before it is looked up
        return False


def has_credential_header(connection: HTTPConnection[State]) -> bool:
    return any(_sent(connection, header) for header in CREDENTIAL_HEADERS)


def session_cookie_of(connection: HTTPConnection[State], settings: Settings) -> str | None:
    """Return the value of the session cookie.

    A browser may send several of this name: another program, such as Ory Kratos, may have set one for the domain above.
    """
    crumbs = [crumb for header in connection.headers.getlist("cookie") for crumb in header.split(";")]
    values = [value for crumb in crumbs if (value := cookie_parser(crumb).get(settings.session_cookie))]
    return next((value for value in values if value.startswith(SESSION_PREFIX)), values[-1] if values else None)


def credential_of(connection: HTTPConnection[State], settings: Settings) -> PresentedCredential | None:
    """Return the credential of a request. A header takes precedence over a cookie.

    Raises Unauthenticated for a malformed header, Forbidden for another site's request that changes data by a cookie.
    """
    sent = [_from_header(value) for value in _sent(connection, "authorization")]
    sent += [PresentedCredential(key, is_session=False) for key in _sent(connection, KEY_HEADER)]
    if sent:
        return _only_one(sent)
    value = session_cookie_of(connection, settings)
    if not value:
        return None
    require_same_origin(connection, settings)
    return PresentedCredential(value, is_session=True)


def require_same_origin(connection: HTTPConnection[State], settings: Settings) -> None:
    """Refuse cross-site requests (Fetch Metadata; Origin for older browsers). Raises Forbidden.

    A request without these headers does not come from a browser. Raises WrongAddress for a page of ours that was
    opened under a name other than PUBLIC_URL.
    """
    if connection.scope.get("method", "GET") in SAFE_METHODS:
        return
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if origin is not None and origin in own_origins(settings):
        return
    if site in ("same-origin", "none") or (site is None and origin is None):
        return
    host = connection.headers.get("host", "").lower()
    if origin is not None and origin.lower().partition("://")[2] == host:
        raise WrongAddress(origin.lower(), settings.public_url)
    raise Forbidden("This request comes from another site, where the session cookie is not accepted.")


def own_origins(settings: Settings) -> frozenset[str]:
    """Return the origins whose pages may send the cookie: the public one, and those in the settings.

    On loopback, the public origin under every loopback name.
    """
    origins = {settings.public_url, *settings.allowed_origins} - {ANY, OPAQUE_ORIGIN}
    if urls.is_loopback(settings.public_url):
        parts = urlsplit(settings.public_url)
        port = "" if parts.port is None else f":{parts.port}"
        origins |= {f"{parts.scheme}://{name}{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
    return frozenset(origins)


def address_of(connection: HTTPConnection[State]) -> str:
    """Return the address for rate limits without a credential. For IPv6 it is the /64, which belongs to one caller."""
    return _network_of(connection.client.host if connection.client else "unknown")


@lru_cache(1024)
def _network_of(host: str) -> str:
    address = urls.address_of(host)
    if address is None or address.version == 4:
        return str(address or host)
    return str(ipaddress.ip_network((address, 64), strict=False))


def site_of(connection: HTTPConnection[State]) -> str | None:
    """Return the client's IPv6 /48, which usually belongs to one organization. None for IPv4."""
    address = urls.address_of(connection.client.host if connection.client else "unknown")
    if address is None or address.version == 4:
        return None
    return str(ipaddress.ip_network((address, 48), strict=False))


def _sent(connection: HTTPConnection[State], header: str) -> list[str]:
    """Return the values of a header, which clients and proxies repeat on other lines or after commas.

    Skips blank values and `Bearer` alone, which templates with an empty variable produce.
    """
    values = (value.strip() for value in joined(connection.headers, header).split(",", MOST_COPIES))
    return [value for value in values if value.lower() not in ("", "bearer")]


def _from_header(header: str) -> PresentedCredential:
    """Read an Authorization header: `Bearer …`, `Session …`, or an API key alone. Raises Unauthenticated.

    The scheme may be repeated: people paste `Bearer KEY` into a field to whose value a client adds it.
    """
    match header.split():
        case [key] if key.startswith(API_KEY_PREFIX):
            return PresentedCredential(key, is_session=False)
        case [*schemes, value] if {scheme.lower() for scheme in schemes} in ({"bearer"}, {"session"}):
            return PresentedCredential(value, is_session=schemes[0].lower() == "session")
    raise Unauthenticated(reason="unreadable_header")


def _only_one(sent: Sequence[PresentedCredential]) -> PresentedCredential:
    """Return the credential that all headers hold. Raises Unauthenticated if they differ."""
    if len(set(sent)) > 1:
        raise Unauthenticated(reason="several_credentials")
    return sent[0]
