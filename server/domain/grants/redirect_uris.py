"""Redirect URIs: which ones a client may register, whether a request's URI matches a registered one, and if not, why.

OAuth 2.1 section 2.3 (exact comparison), RFC 8252 sections 7.1 (private schemes) and 7.3 (the port of a loopback
address).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from server.network.urls import is_private

MAX_LENGTH = 2000
SHOWN_LENGTH = 200
SHOWN_URIS = 5

RESERVED = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
"""Query parameters that an authorization response adds itself."""

_BROWSERS = """
    javascript livescript mocha vbscript data blob file filesystem about view-source resource jar feed mhtml mk its res
    cid mid content intent android-app chrome edge brave opera vivaldi devtools microsoft-edge googlechrome
    googlechromes firefox
"""
_NETWORKS = """
    http https ws wss ftp ftps sftp ssh telnet gopher ldap ldaps nfs smb afp dav davs rtsp rtmp dns ipfs ipns git svn
    imap pop smtp tftp localhost
"""
_LINKS = """
    mailto tel sms smsto mms im sip sips xmpp irc irc6 ircs news nntp snews geo maps magnet matrix webcal wtai urn
    bitcoin ethereum openpgp4fpr facetime callto shell search search-ms help hcp itms-services x-apple.systempreferences
"""
NOT_PRIVATE = frozenset((_BROWSERS + _NETWORKS + _LINKS).split())
"""Schemes of scripts and browsers, of network protocols, and of links that web pages or the system handle."""

_NOT_PRIVATE_FAMILIES = re.compile(r"(chrome|edge|moz|ms|web)[-+].*|.*-(extension|https?)")
"""Schemes of browser pages, of system programs (`ms-settings:`), of web addresses in one browser (`x-safari-https:`),
and those that any web page may claim (`web+...:`).
"""

_CHARACTERS = re.compile(r"[!$-)+-;=?-\[\]_a-z~]+")  # the characters of RFC 3986, without the wildcard and the fragment
_APP = re.compile(r"([a-z][a-z0-9+.-]{1,62}):(?![0-9]+([/?]|$)).*", re.IGNORECASE)  # `name:8080/` has no scheme
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?([/?].*)?")
_SHOWN_AS_IS = "%/:?#[]@!$&'()*+,;=~"


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
        return cls(match[1], match[3] or "/")  # the same address (RFC 3986 section 6.2.3)


def is_allowed(uri: str, public_url: str) -> bool:
    """Return whether a client may use the URI: any https, http on loopback, or an application's private scheme.

    Plain http in a private network is allowed too if `public_url` is such a URL itself.
    """
    if len(uri) > MAX_LENGTH or not _CHARACTERS.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if names & RESERVED or "@" in parts.netloc or port == 0:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":
        return is_local(uri) or (is_plain_private(uri) and is_plain_private(public_url))
    return is_app(uri)


def allowed_among(uris: Sequence[object], public_url: str) -> list[str]:
    """Return the URIs that are allowed, so that a client can use them even if others are refused."""
    return [uri for uri in uris if isinstance(uri, str) and is_allowed(uri, public_url)]


def is_app(uri: str) -> bool:
    """Return whether the URI opens an installed application through a private scheme."""
    match = _APP.fullmatch(uri)
    scheme = match[1].lower() if match else "http"
    return scheme not in NOT_PRIVATE and not _NOT_PRIVATE_FAMILIES.fullmatch(scheme)


def is_local(uri: str) -> bool:
    """Return whether the response goes to a program on the user's own computer."""
    return Loopback.of(uri) is not None


def is_plain_private(url: str) -> bool:
    """Return whether the URL is plain http to an address or a name in a private network."""
    return url.lower().startswith("http://") and is_private(url)


def matches(registered: str, requested: str) -> bool:
    """Return whether the URIs are the same string, or the same loopback address with any port."""
    if registered == requested:
        return True
    loopback = Loopback.of(registered)
    return loopback is not None and loopback == Loopback.of(requested)


def destination(uri: str) -> str:
    """Return the URI's destination as people read it: an application's scheme, or a host with its port."""
    if is_app(uri):
        return f"the application that opens {uri.partition(':')[0]}: links"
    host = urlsplit(uri).netloc
    return f"a program on this computer ({host})" if is_local(uri) else host


def why_not_allowed(uri: str) -> str:
    """Return the sentence for a URI that is not allowed. It names the URI and what to use."""
    scheme, colon, _ = uri.partition(":")
    if is_plain_private(uri):
        rule = "is plain http in a private network. Use https, or connect with an API key, which needs no redirect"
    elif scheme.lower() == "http" and not is_local(uri):
        rule = (
            "is plain http, which is for localhost, 127.0.0.1 and [::1] only, in lower case and with a port from 1 to "
            "65535. Use one of these, or https"
        )
    elif len(uri) > MAX_LENGTH:
        rule = f"is longer than {MAX_LENGTH} characters"
    elif scheme.lower() in ("https", "http") or (colon and is_app(uri)):
        rule = (
            "has a part that is not allowed: a user name, a port outside 1 to 65535, a fragment, a wildcard, a "
            "character that must be escaped, or a parameter of the answer (code, state, iss, error)"
        )
    else:
        rule = "is neither https, http on localhost, nor the private scheme of an application"
    return f"The redirect URI {_printable(uri)} {rule}."


def why_not_registered(requested: str | None, registered: Sequence[str], public_url: str) -> str:
    """Return the sentences for a request whose URI is not registered. They list the client's registered URIs."""
    loopback = Loopback.of(requested or "")
    if requested is None:
        problem = "The request has no redirect_uri, and this application has registered several."
    elif not is_allowed(requested, public_url):
        problem = why_not_allowed(requested)
    elif loopback and any(other.rest == loopback.rest for other in map(Loopback.of, registered) if other):
        problem = (
            f"The redirect URI {_printable(requested)} is not registered: localhost and 127.0.0.1 are different hosts."
        )
    else:
        problem = f"The redirect URI {_printable(requested)} is not registered for this application."
    listed_uris = ", ".join(map(_printable, registered[:SHOWN_URIS])) + (
        ", ..." if len(registered) > SHOWN_URIS else ""
    )
    return f"{problem} Registered: {listed_uris}."


def _printable(uri: str) -> str:
    """Return the URI, shortened, in characters that an OAuth error may contain (RFC 6749 section 5.2)."""
    text = quote(uri, safe=_SHOWN_AS_IS, errors="replace")
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."
