"""Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): a client described at its own URL.

The URL comes from a stranger, so the fetch is guarded against server-side request forgery: it resolves the host once,
connects to the checked address, follows no redirects, uses no cookies or proxies, and limits time and size.
"""

import asyncio
import ipaddress
import logging
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread
import httpx
from pydantic import BaseModel, BeforeValidator, ValidationError

from server.domain.grants import redirect_uris
from server.domain.grants.clients import GRANT_TYPES, Description
from server.errors import Invalid
from server.models import OAuthClient
from server.models.base import now, was_within
from server.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5
MAX_BYTES = 64_000
MAX_URL = 1000
USER_AGENT = "SelfMemory-Client-Metadata/1"

MIN_LIFETIME = timedelta(seconds=10)
DEFAULT_LIFETIME = timedelta(minutes=5)
MAX_LIFETIME = timedelta(hours=24)
"""A copy stays fresh for as long as its Cache-Control says, within these bounds."""

STALE_LIFETIME = timedelta(hours=24)
"""How long a copy may stand in for a document that cannot be fetched."""

_lookups = anyio.CapacityLimiter(4)
"""The threads for names. A lookup that hangs keeps its thread, so it must not be one that other work needs."""

_DOT_SEGMENT = re.compile(r"/\.{1,2}(/|$)")

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""The only IPv6 addresses of public hosts. Translators (NAT64), site-local and other networks are outside of it."""

_TUNNELS = [ipaddress.ip_network(block) for block in ("2001::/32", "2002::/16")]
"""Networks whose addresses embed an IPv4 address: Teredo, 6to4."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class DocumentRefused(Invalid):
    """The message is the same for every reason, so that it reveals nothing about this server's network."""

    sentence = (
        "This application's metadata document could not be used. The server has to fetch it from the application's "
        "site. If it cannot, connect the application with an API key, or set SELFMEMORY_CIMD_ENABLED=false."
    )


class DocumentUnavailable(DocumentRefused):
    """The document cannot be fetched now. An earlier copy may stand in for it."""


def _text(value: object) -> object:
    return value if isinstance(value, str) else ""


class Document(BaseModel):
    """The fields of a document that this server reads. It ignores all others."""

    client_id: str
    redirect_uris: list[object]
    client_name: Annotated[str, BeforeValidator(_text)] = ""
    token_endpoint_auth_method: str | None = None
    token_endpoint_auth_methods_supported: list[str] | None = None
    client_secret: object = None
    client_secret_expires_at: object = None
    jwks: object = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A client's description from its document, and when to fetch the document again."""

    description: Description
    fresh_until: datetime


def is_document_url(client_id: str, settings: Settings) -> bool:
    """Return whether the client is described at a URL. Where documents are off, no client is."""
    return settings.cimd_enabled and client_id.lower().startswith(("https://", "http://"))


def require_well_formed(url: str, *, any_port: bool) -> None:
    """Check the form of a client's URL, without using the network. Raises DocumentRefused."""
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url and len(url) <= MAX_URL
    if not is_plain:
        raise DocumentRefused
    try:
        parts, _ = urlsplit(url), httpx.URL(url)
        port = parts.port
    except (ValueError, httpx.InvalidURL):
        raise DocumentRefused from None
    path = unquote(parts.path)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or "#" in url:
        raise DocumentRefused
    if path in ("", "/") or _DOT_SEGMENT.search(path) or (port not in (None, 443) and not any_port):
        raise DocumentRefused


def is_fresh(client: OAuthClient | None) -> bool:
    """Return whether the document need not be read again. No document is fresh for longer than `MAX_LIFETIME`, unless
    the clock was set back since.
    """
    if client is None or client.fresh_until is None:
        return False
    return timedelta(0) < client.fresh_until - now() <= MAX_LIFETIME


def may_be_stale(client: OAuthClient | None) -> bool:
    """Return whether our copy may stand in for a document that cannot be fetched now."""
    return client is not None and was_within(client.read_at, STALE_LIFETIME)


async def fetch(url: str, settings: Settings) -> Fetched:
    """Fetch and validate a client's document within `TIMEOUT_SECONDS`. Raises DocumentUnavailable, DocumentRefused."""
    require_well_formed(url, any_port=settings.cimd_allow_private)
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            host = urlsplit(url).hostname or ""
            address = require_public(await resolve(host, urlsplit(url).port or 443), settings.cimd_allow_private)
            context = await asyncio.to_thread(httpx.create_ssl_context)
            async with httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False) as http:
                return await _read(http, url, address, settings.public_url)
    except (TimeoutError, httpx.HTTPError, OSError) as error:
        log.info("client document unavailable", extra={"reason": type(error).__name__})
        raise DocumentUnavailable from None


async def resolve(host: str, port: int) -> list[Address]:
    """Resolve a host to its addresses with the system's resolver. Raises OSError, DocumentRefused."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        entries = await anyio.to_thread.run_sync(look_up, limiter=_lookups, abandon_on_cancel=True)
    except UnicodeError:
        raise DocumentRefused from None
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]


def require_public(addresses: Sequence[Address], allow_private: bool) -> Address:
    """Return the first address. Raises DocumentRefused if there is none, or any of them is private."""
    if not addresses or not (allow_private or all(map(is_public, addresses))):
        raise DocumentRefused
    return addresses[0]


def is_public(address: Address) -> bool:
    """Return whether the address, and an IPv4 address mapped into it, is on the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _GLOBAL_UNICAST or any(address in tunnel for tunnel in _TUNNELS):
            return False
    return address.is_global and not address.is_multicast


async def _read(http: httpx.AsyncClient, url: str, address: Address, public_url: str) -> Fetched:
    """Fetch from the checked address. Use the host's name only for the certificate and the Host header."""
    target = httpx.URL(url)
    headers = {
        "Host": target.netloc.decode(),
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }
    request = httpx.Request(
        "GET",
        target.copy_with(host=str(address)),
        headers=headers,
        extensions={"sni_hostname": target.raw_host.decode()},
    )
    response = await http.send(request, stream=True)
    try:
        if response.status_code in (403, 408, 429) or response.status_code >= 500:
            raise DocumentUnavailable
        if response.status_code != 200 or not _is_json(response):
            raise DocumentRefused
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                raise DocumentRefused
    finally:
        await response.aclose()
    return Fetched(
        validated_description(url, bytes(body), public_url), now() + lifetime(response.headers.get("cache-control", ""))
    )


def _is_json(response: httpx.Response) -> bool:
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_plain = response.headers.get("content-encoding", "identity") == "identity"
    return is_plain and re.fullmatch(r"application/([\w.-]+\+)?json", media) is not None


def lifetime(cache_control: str) -> timedelta:
    """Return how long a document stays fresh, from `MIN_LIFETIME` to `MAX_LIFETIME`."""
    if re.search(r"\bno-(store|cache)\b", cache_control, re.IGNORECASE):
        return MIN_LIFETIME
    max_age = re.search(r"\bmax-age=(\d{1,9})\b", cache_control, re.IGNORECASE)
    if max_age is None:
        return DEFAULT_LIFETIME
    return min(max(timedelta(seconds=int(max_age[1])), MIN_LIFETIME), MAX_LIFETIME)


def validated_description(url: str, body: bytes, public_url: str) -> Description:
    """Validate the document, and return its description of the client at `url`. Raises DocumentRefused."""
    try:
        document = Document.model_validate_json(body)
    except ValidationError:
        raise DocumentRefused from None
    uris = redirect_uris.allowed_among(document.redirect_uris, public_url)
    if document.client_id != url or not uris or not _is_public_client(document) or "\0" in document.client_name:
        raise DocumentRefused
    description = Description(name=document.client_name, redirect_uris=uris, grant_types=GRANT_TYPES)
    if not description.is_small:
        raise DocumentRefused
    return description


def _is_public_client(document: Document) -> bool:
    """Return whether the client uses the method `none` and has no secret. A public document cannot hold a secret."""
    if document.client_secret is not None or document.client_secret_expires_at is not None:
        return False
    methods = [document.token_endpoint_auth_method, *(document.token_endpoint_auth_methods_supported or ())]
    offered = {method for method in methods if method} or {"none"}
    if any(method.startswith("client_secret") for method in offered) or "none" not in offered:
        return False
    match document.jwks:
        case {"keys": list(keys)}:
            return not any(isinstance(key, dict) and key.get("kty") == "oct" for key in keys)
    return True
