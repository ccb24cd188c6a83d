"""Where an authorization answer may go: which redirect URIs a client may name, and which request matches them.

OAuth 2.1 section 2.3 (exact comparison), RFC 8252 sections 7.1 (private schemes) and 7.3 (a loopback address's port).
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

MAX_LENGTH = 2000
# Private schemes without a domain in reverse that well-known clients register.
APP_SCHEMES = frozenset({"cursor", "vscode", "vscode-insiders", "windsurf", "zed", "goose", "antigravity"})
RESERVED = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})

_CHARACTERS = re.compile(r"[!$-),-;=?-\[\]_a-z~]+")  # of RFC 3986, without the wildcard and the fragment
_REVERSED_DOMAIN = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)+")
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?([/?].*)?")


@dataclass(frozen=True, slots=True)
class Loopback:
    """An http address of the user's own machine; its port is chosen anew for every request."""

    host: str
    rest: str

    @classmethod
    def of(cls, uri: str) -> "Loopback | None":
        found = _LOOPBACK.fullmatch(uri)
        if found is None or not 1 <= int(found[2] or 80) <= 65535:
            return None
        return cls(found[1], found[3] or "")


def is_allowed(uri: str) -> bool:
    """Whether a client may name it: https anywhere, http on loopback, the private scheme of an application."""
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
    """Whether the URI opens an installed application by a private scheme."""
    scheme = uri.partition(":")[0]
    return scheme in APP_SCHEMES or _REVERSED_DOMAIN.fullmatch(scheme) is not None


def is_local(uri: str) -> bool:
    """Whether the answer goes to whatever program of the user's own machine listens there."""
    return Loopback.of(uri) is not None


def matches(registered: str, asked: str) -> bool:
    """The same string, or the same but for the port of a loopback address."""
    if registered == asked:
        return True
    ours, theirs = Loopback.of(registered), Loopback.of(asked)
    return ours is not None and ours == theirs


def destination(uri: str) -> str:
    """Where it leads, for people: a host with its port (which may be this computer), or an application's scheme."""
    if is_app(uri):
        return f"the application that opens {uri.partition(':')[0]}: links"
    host = urlsplit(uri).netloc
    return f"a program on this computer ({host})" if is_local(uri) else host
