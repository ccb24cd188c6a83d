"""Questions about URLs: what their host is, and their origin."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is a loopback address (RFC 8252 section 7.3, RFC 6761 section 6.3)."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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
