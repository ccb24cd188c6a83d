"""Where a Chroma server is and how to sign in there, from the settings CHROMA_URL and CHROMA_TOKEN."""

from base64 import b64encode
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from server.network.urls import bracketed
from server.settings import Settings

DEFAULT_PORT = 8000
"""The port of `chroma run`, where http names none."""

API_PATHS = ("/api/v2", "/api/v1")


class Address(NamedTuple):
    """`base` has no credentials and no API path; `headers` carry what signs in."""

    base: str
    port: int
    headers: dict[str, str]


def address_of(settings: Settings) -> Address:
    """Return the address. A name and a password in the URL are for a proxy in front of Chroma."""
    parts = urlsplit(settings.chroma_url)
    port = parts.port or (443 if parts.scheme == "https" else DEFAULT_PORT)
    path = parts.path.rstrip("/")
    for api in API_PATHS:
        path = path.removesuffix(api)
    headers = {}
    if parts.username or parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    if token := settings.chroma_token.get_secret_value():
        headers = {"Authorization": f"Bearer {token}"} | headers | {"X-Chroma-Token": token}
    return Address(f"{parts.scheme}://{bracketed(parts.hostname or 'localhost')}:{port}{path}", port, headers)
