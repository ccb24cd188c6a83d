"""Examines URLs and hosts: whether only this machine or a private network can reach them, and what their origin is."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from server.text.characters import stream_safe

DEFAULT_PORTS = {"http": 80, "https": 443}
PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""RFC 1918, RFC 6598 (overlay networks use it too), RFC 4193."""

PRIVATE_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa")
"""Suffixes that public DNS servers do not resolve: RFC 6762, RFC 8375, custom, or reserved by ICANN."""

PROGRAM_PATHS = ("/api", "/v1", "/mcp", "/oauth", "/.well-known", "/health", "/metrics", "/openapi.json", "/docs")

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.~%-]+)(:[0-9]{1,5})?")

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is a loopback address (RFC 8252 section 7.3, RFC 6761 section 6.3)."""
    host = host_of(url)
    address = address_of(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def is_private(url: str) -> bool:
    """Return whether the URL's host is an address or a name in a private network. Loopback does not count."""
    host = host_of(url)
    address = address_of(host)
    if address:
        return any(address in block for block in PRIVATE_NETWORKS)
    return is_local_name(host) and not is_loopback(url)


def is_local_name(host: str) -> bool:
    """Return whether the name is local: a single label or a private suffix, which public DNS servers do not resolve.

    A number is not a name: browsers read it as an IPv4 address, which may be public.
    """
    is_local = "." not in host or host.endswith(PRIVATE_SUFFIXES) or host == "home.arpa"
    return bool(host) and is_local and not _NUMBER.fullmatch(host)


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the host as an address, or None when it is a name. An IPv4 address inside an IPv6 address is returned as
    IPv4.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def host_of(url: str) -> str:
    """Return the URL's host in lower case without the dot of a fully qualified name; "" when there is none."""
    try:
        return (_split(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def host_of_header(value: str) -> str:
    """Return the host of a Host header, or "" when it is not a host with at most a port (RFC 9110 section 7.2)."""
    return host_of(f"//{value}") if _HOST.fullmatch(value) and _parts(f"//{value}") else ""


def is_local_path(text: str) -> bool:
    """Return whether the text is a path on the same site. Browsers read `//host` and backslashes as another site."""
    return text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text


def is_for_programs(path: str) -> bool:
    """Return whether programs call the path. All other paths are pages for people."""
    return is_below(path, PROGRAM_PATHS)


def is_below(path: str, parents: Iterable[str]) -> bool:
    """Return whether the path is one of the parents or below one."""
    return any(path == parent or path.startswith(f"{parent}/") for parent in parents)


def without_slash(method: str, path: str) -> str:
    """Return the path of a program's request without its trailing slash, which changes nothing.

    A deletion keeps it: `DELETE /api/memories/`, with an id that is empty by mistake, would delete all memories.
    """
    is_deletion = method == "DELETE" and path.startswith("/api/")
    return path.removesuffix("/") if is_for_programs(path) and not is_deletion else path


def bracketed(host: str) -> str:
    """Return the host as URLs write it: an IPv6 address stands in brackets."""
    return f"[{host}]" if ":" in host else host


def has_host(url: str, schemes: Sequence[str]) -> bool:
    """Return whether the URL has one of the schemes, a host and, if any, a numeric port."""
    parts = _parts(url)
    return parts is not None and parts.scheme in schemes and _can_exist(parts.hostname or "") and parts.port != 0


def _can_exist(host: str) -> bool:
    """Return whether a name server may know the host: no part of it is empty or too long. To look up any other, Python
    raises a UnicodeError.
    """
    try:
        return bool(host) and bool(host.encode("idna"))
    except UnicodeError:
        return False


def has_path(url: str) -> bool:
    """Return whether the URL has anything after its host: a path, a query or a fragment."""
    parts = _parts(url)
    return (
        parts is not None and bool(parts.netloc) and bool(parts.path not in ("", "/") or parts.query or parts.fragment)
    )


def origin_of(url: str, schemes: Sequence[str] | None = ("http", "https")) -> str | None:
    """Return `scheme://host[:port]` in lower case, or None when the URL has anything else.

    If `schemes` is None, any scheme is allowed, such as a browser extension's.
    """
    parts = _parts(url.strip())
    if parts is None or not parts.scheme or not parts.hostname or has_path(url.strip()) or "@" in parts.netloc:
        return None
    if not host_of_header(bracketed(parts.hostname)) or (schemes is not None and parts.scheme not in schemes):
        return None
    is_default = parts.port is None or parts.port == DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{bracketed(parts.hostname)}" + ("" if is_default else f":{parts.port}")


def origin_of_page(url: str) -> str | None:
    """Like `origin_of`, for a URL that may have a path. None when the URL is malformed."""
    parts = _parts(url)
    return None if parts is None else origin_of(f"{parts.scheme}://{parts.netloc}")


def _parts(url: str) -> SplitResult | None:
    """Return the parts of the URL, or None when its host or port is malformed."""
    try:
        parts = _split(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _split(url: str) -> SplitResult:
    """Raises ValueError for a malformed host. `urlsplit` normalizes the host."""
    return urlsplit(stream_safe(url))


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite database. The characters that end or change a path in a URL are encoded."""
    return f"sqlite:///{file}".replace("%", "%25").replace("?", "%3F")
