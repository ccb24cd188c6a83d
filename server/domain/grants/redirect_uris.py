"""Redirect URIs: which ones a client may register, and which request matches a registered one.

OAuth 2.1 section 2.3 (exact comparison), RFC 8252 sections 7.1 (private schemes) and 7.3 (the port of a loopback
address).
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

MAX_LENGTH = 2000

APP_SCHEMES = frozenset({"cursor", "vscode", "vscode-insiders", "windsurf", "zed", "goose", "antigravity"})
"""Private schemes that well-known clients register, although they are no reversed domain names."""

RESERVED = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
"""Query parameters that an authorization response adds itself."""

_CHARACTERS = re.compile(r"[!$-),-;=?-\[\]_a-z~]+")  # of RFC 3986, without the wildcard and the fragment
_REVERSED_DOMAIN = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)+")
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?([/?].*)?")


@dataclass(frozen=True, slots=True)
class Loopback:
    """An http address of the user's own computer, without its port, which changes with every request."""

    host: str
    rest: str

    @classmethod
    def of(cls, uri: str) -> "Loopback | None":
        match = _LOOPBACK.fullmatch(uri)
        if match is None or not 1 <= int(match[2] or 80) <= 65535:
            return None
        return cls(match[1], match[3] or "")


def is_allowed(uri: str) -> bool:
    """Return whether a client may register it: any https, http on loopback, or the private scheme of an application."""
    if len(uri) > MAX_LENGTH or not _CHARACTERS.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    if RESERVED & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname) and "@" not in parts.netloc and port != 0
    if parts.scheme == "http":
        return Loopback.of(uri) is not None
    return is_app(uri) and "@" not in parts.netloc


def is_app(uri: str) -> bool:
    """Return whether the URI opens an installed application by a private scheme."""
    scheme = uri.partition(":")[0]
    return scheme in APP_SCHEMES or _REVERSED_DOMAIN.fullmatch(scheme) is not None


def is_local(uri: str) -> bool:
    """Return whether the response goes to a program on the user's own computer."""
    return Loopback.of(uri) is not None


def matches(registered: str, requested: str) -> bool:
    """Return whether the URIs are the same string, or the same loopback address with any port."""
    if registered == requested:
        return True
    loopback = Loopback.of(registered)
    return loopback is not None and loopback == Loopback.of(requested)


def destination(uri: str) -> str:
    """Return where the URI leads, for people: an application's scheme, or a host with its port."""
    if is_app(uri):
        return f"the application that opens {uri.partition(':')[0]}: links"
    host = urlsplit(uri).netloc
    return f"a program on this computer ({host})" if is_local(uri) else host
