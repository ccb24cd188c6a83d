"""Questions about URLs and hosts: whether only this machine or a private network reaches them, and their origin."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""RFC 1918, RFC 6598 (also of overlay networks), RFC 4193."""

PRIVATE_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa")
"""Names that no public DNS server resolves: RFC 6762, RFC 8375, and by custom or ICANN's reservation."""

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is a loopback address (RFC 8252 section 7.3, RFC 6761 section 6.3)."""
    host = host_of(url)
    address = address_of(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def is_private(url: str) -> bool:
    """Return whether the URL's host is an address or a name of a private network. Loopback is not."""
    host = host_of(url)
    address = address_of(host)
    if address:
        return any(address in block for block in PRIVATE_NETWORKS)
    return is_local_name(host) and not is_loopback(url)


def is_local_name(host: str) -> bool:
    """Return whether no public DNS server resolves the name: a single label, or under a private suffix.

    A number is no name: browsers read it as an IPv4 address, which may be a public one.
    """
    is_local = "." not in host or host.endswith(PRIVATE_SUFFIXES) or host == "home.arpa"
    return bool(host) and is_local and not _NUMBER.fullmatch(host)


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the host as an address, or None when it is a name. An IPv4 address inside IPv6 is an IPv4 address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def host_of(url: str) -> str:
    """Return the URL's host in lower case without the dot of a fully qualified name; "" when there is none."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def has_host(url: str, schemes: Sequence[str]) -> bool:
    """Return whether the URL has one of the schemes, a host and, if any, a numeric port."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def origin_of(url: str) -> str | None:
    """Return `scheme://host[:port]` in lower case, or None when the URL has anything else."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    more = parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or more:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")
