"""From HTTP to what Authlib reads: parameters that occur once, a client's credentials, our resource."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from starlette.requests import Request

from server.models import AuthMethod
from server.runtime import State
from server.settings import Settings
from server.wire import read_body

FORM = "application/x-www-form-urlencoded"
FORM_LIMIT = 64_000
QUERY_LIMIT = 32_000
MOST_FIELDS = 100
# What must never stand in a URL, where logs and histories keep it.
SECRET = frozenset({"client_secret", "code", "code_verifier", "refresh_token", "token", "access_token", "password"})

Fields = dict[str, list[str]]


class Payload(OAuth2Payload):
    """Parameters in the order they came; one without a value counts as left out (RFC 6749 section 3.1)."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._first = {name: values[0] for name, values in fields.items()}

    @property
    def data(self) -> dict[str, str]:
        return self._first

    @property
    def datalist(self) -> Fields:
        return self._fields


class FlowRequest(OAuth2Request):
    """One request of the flow; `fields` are those of the query or of the body, never both."""

    def __init__(self, settings: Settings, method: str, fields: Fields, headers: Mapping[str, str]) -> None:
        super().__init__(method, settings.public_url, headers=headers)
        self.payload = Payload(fields)

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who a client says it is, and how it shows it (RFC 6749 section 2.3)."""

    client_id: str
    method: AuthMethod
    secret: str = ""


class ClientRefused(InvalidClientError):
    """Always 401; the header is answered with a header, since in a browser it opens a dialogue."""

    description = "The client is unknown or could not be authenticated."

    def __init__(self, *, by_header: bool) -> None:
        super().__init__(status_code=401)
        self.by_header = by_header

    def get_headers(self) -> list[tuple[str, str]]:
        headers = [(name, value) for name, value in super().get_headers() if name != "WWW-Authenticate"]
        return [*headers, ("WWW-Authenticate", 'Basic realm="oauth"')] if self.by_header else headers


class InvalidTarget(OAuth2Error):
    """RFC 8707 section 2."""

    error = "invalid_target"
    description = "The resource is not the one that this server protects."


def fields_of(text: str) -> Fields:
    """Form-encoded text. Raises InvalidRequestError for what is not UTF-8, holds control characters or is too much."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidRequestError("The parameters cannot be read.") from None
    fields: Fields = {}
    for name, value in pairs:
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name + value):
            raise InvalidRequestError("A parameter holds control characters.")
        if value:
            fields.setdefault(name, []).append(value)
    return fields


async def read_form(request: Request[State]) -> Fields:
    """The body of a POST, and nothing else. Raises InvalidRequestError, TooLarge."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequestError(f"Send the body as {FORM}.")
    if SECRET & set(fields_of(request.url.query)):
        raise InvalidRequestError("Credentials do not belong in the URL.")
    try:
        text = (await read_body(request, FORM_LIMIT)).decode("ascii")
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not form-encoded.") from None
    return fields_of(text)


def require_single(fields: Fields) -> None:
    """No parameter twice, but for the same resource (RFC 6749 section 3.1). Raises InvalidRequestError."""
    for name, values in fields.items():
        if len(values) > 1 and name != "resource":
            raise InvalidRequestError("A parameter occurs more than once.")


def require_own_resource(fields: Fields, settings: Settings) -> None:
    """Every resource that is named is ours; none named means ours (RFC 8707). Raises InvalidTarget."""
    if any(canonical(value) != settings.resource for value in fields.get("resource", ())):
        raise InvalidTarget


def canonical(resource: str) -> str:
    """Scheme and host in small letters, without a trailing slash; empty for what is no absolute URL."""
    try:
        parts = urlsplit(resource)
    except ValueError:
        return ""
    if not parts.scheme or not parts.netloc or "#" in resource or parts.query:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.removesuffix('/')}"


def client_credentials(request: FlowRequest) -> ClientCredentials:
    """Exactly one way of showing who the client is. Raises ClientRefused, InvalidRequestError."""
    data = request.payload.data
    header = request.headers.get("authorization")
    if header is None:
        client_id, secret = data.get("client_id", ""), data.get("client_secret", "")
        return ClientCredentials(client_id, AuthMethod.POST if secret else AuthMethod.NONE, secret)
    client_id, secret = _basic(header)
    if "client_secret" in data or data.get("client_id", client_id) != client_id:
        raise ClientRefused(by_header=True)
    return ClientCredentials(client_id, AuthMethod.BASIC, secret)


def _basic(header: str) -> tuple[str, str]:
    """RFC 6749 section 2.3.1: both parts are form-encoded before they are joined."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise ClientRefused(by_header=True) from None
    client_id, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or "\0" in decoded:
        raise ClientRefused(by_header=True)
    return unquote_plus(client_id), unquote_plus(secret)
