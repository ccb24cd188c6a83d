"""What trusted proxies say about a request: its client's address, Host and scheme (X-Forwarded-*, RFC 7239)."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest

from starlette.datastructures import Headers
from starlette.types import Scope

from server.network.urls import address_of, host_of, host_of_header

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
X_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")

# Possessive, and begun only where a match can begin: a client's part of a header passes through its proxy, and must not
# take longer than its length asks. The two groups that may fail after their first character are not possessive: up to
# Python 3.11.4, they would match what they read before they failed.
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_CLOSED = re.compile(rf'(?:[^"]++|{_QUOTED})*')
_ELEMENT = re.compile(rf'(?:[^,"]++|{_QUOTED})+')
_PAIR = re.compile(r'(?<![\w-])([\w-]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;,"\s]++))')


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy says about the request that reached it. A value that it leaves out is ""."""

    client: str
    host: str
    scheme: str


def apply_forwarding(scope: Scope, trusted: Sequence[Network]) -> None:
    """Set the request's client, Host and scheme to what the outermost trusted proxy reports.

    Stops at the first hop from an untrusted address, whose headers it ignores.
    """
    client: str = (scope.get("client") or ("unknown", 0))[0]
    host = ""
    for hop in hops_of(Headers(scope=scope)) if is_within(client, trusted) else ():
        if not is_within(client, trusted):
            break
        host = hop.host or host
        scope["scheme"] = hop.scheme or scope["scheme"]
        if not hop.client:
            break
        client = hop.client
    scope["client"] = (client, 0)
    if host:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [(b"host", host.encode("latin-1")), *others]


def hops_of(headers: Headers) -> Iterator[Hop]:
    """Yield the hops of a request, the nearest proxy first.

    X-Forwarded headers take precedence: a proxy that sets them may pass on a `Forwarded` header that the client
    invented.
    """
    columns = [_last_first(joined(headers, name).split(",")) for name in X_FORWARDED]
    rows: Iterator[tuple[str, ...]] = zip_longest(*columns, fillvalue="")
    if not any(columns):
        rows = map(_fields, _last_first(_elements(joined(headers, "forwarded"))))
    for client, host, scheme in rows:
        yield Hop(_address(client), host if host_of_header(host) else "", scheme if scheme in ("http", "https") else "")


def networks(addresses: Sequence[str]) -> list[Network]:
    """Parse addresses and CIDR blocks. Raises ValueError."""
    return [ipaddress.ip_network(address, strict=False) for address in addresses]


def is_within(address: str, blocks: Sequence[Network]) -> bool:
    """Return whether the address is in a block. A dual-stack listener reports IPv4 peers as IPv6 addresses."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in block for block in blocks)


_parsed = lru_cache(1024)(address_of)
"""`address_of` for clients and proxies: these texts are short, while anybody chooses those in headers."""


def joined(headers: Headers, name: str) -> str:
    """Return all values of the header, which may be on several lines, with commas between them (RFC 9110 5.3)."""
    return ",".join(headers.getlist(name))


def _elements(forwarded: str) -> list[str]:
    """Return the elements of `Forwarded`. A comma in quotes separates nothing, if every quote is closed."""
    return _ELEMENT.findall(forwarded) if _CLOSED.fullmatch(forwarded) else forwarded.split(",")


def _last_first(items: Sequence[str]) -> list[str]:
    stripped = [item.strip() for item in items]
    return [item for item in reversed(stripped) if item]


def _fields(element: str) -> tuple[str, str, str]:
    """Return `for`, `host` and `proto` of an element of `Forwarded` (RFC 7239 section 4)."""
    pairs = {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain for name, quoted, plain in _PAIR.findall(element)}
    return pairs.get("for", ""), pairs.get("host", ""), pairs.get("proto", "").lower()


def _address(text: str) -> str:
    """Return the address without brackets and port, or "" for a name, such as `unknown`."""
    bare = text if address_of(text) else host_of(f"//{text}")
    return bare if address_of(bare) else ""
