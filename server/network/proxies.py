"""Makes the variables with which operating systems describe their network usable for every library that sends requests.

httpx, and with it the clients of Chroma, of embedding endpoints, of identity providers and of the model hub, raises an
exception for any request if one of them has a value that it does not support, even if the request does not need it.
"""

import ipaddress
import os
import re
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
BYPASS = "no_proxy"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CERTIFICATES = "SSL_CERT_FILE"
TLS_KEY_LOG = "SSLKEYLOGFILE"

_HOST = re.compile(r"(https?://)?[\w.*-]+(:[0-9]{1,5})?(/[0-9]{1,3})?", re.ASCII)


def make_usable() -> list[str]:
    """Remove the variables that no library can use. Let no request to this machine go through a proxy.

    Return a sentence for each variable that was removed.
    """
    removed = [*_without_unusable_proxies(), *_without_unusable_files()]
    _bypass_this_machine()
    return removed


def _without_unusable_proxies() -> Iterator[str]:
    for name in _names(*PROXIES):
        value = os.environ[name]
        if value and not _is_http_proxy(value):
            del os.environ[name]
            yield f"{name} is ignored: only proxies like http://host:port can be used."


def _is_http_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or address
        return False


def _without_unusable_files() -> Iterator[str]:
    for name, use in {CERTIFICATES: _load_certificates, TLS_KEY_LOG: _open_to_append}.items():
        file = os.environ.get(name)
        if not file:
            continue
        try:
            use(file)
        except OSError as error:
            del os.environ[name]
            yield f"{name} is ignored: {file!r} cannot be used ({error.strerror or error})."


def _load_certificates(file: str) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)


def _open_to_append(file: str) -> None:
    with open(file, "ab"):
        pass


def _bypass_this_machine() -> None:
    """Keep the hosts of NO_PROXY that can be read, and add this machine. Addresses of IPv6 stand without brackets."""
    if any(os.environ[name] for name in _names(*PROXIES)):
        # Libraries prefer the name in lower case, so it also decides over NO_PROXY.
        written = next((os.environ[name] for name in sorted(_names(BYPASS), reverse=True)), "")
        hosts = [host for part in written.split(",") if (host := _host_of(part.strip()))]
        os.environ[BYPASS] = ",".join([*hosts, *(name for name in LOOPBACK if name not in hosts)])


def _host_of(part: str) -> str | None:
    """Return the host as httpx reads it, or None if it cannot."""
    try:
        return str(ipaddress.IPv6Address(part.strip("[]")))
    except ValueError:
        return part if _HOST.fullmatch(part) else None


def _names(*lower: str) -> list[str]:
    return [name for name in os.environ if name.lower() in lower]
