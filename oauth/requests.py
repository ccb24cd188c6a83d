"""Turns HTTP requests into what Authlib reads: single parameters, client credentials, our resource."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from starlette.requests import Request

from server.models import AuthMethod
from server.network.urls import origin_of_page
from server.settings import Settings
from server.shell.runtime import State
from server.web.wire import FORM, media_types, parse_form, read_body

FORM_LIMIT = 64_000
"""Maximum size of a form in bytes."""

QUERY_LIMIT = 8_000
"""Maximum bytes of an authorization request's query, unescaped. The sign-in page's URL has to carry it."""

MAX_FIELDS = 100
SECRET_FIELDS = frozenset(
    {"client_secret", "code", "code_verifier", "refresh_token", "token", "access_token", "password"}
)
"""Fields that are refused in a URL, because logs and histories keep URLs."""

MISSING_CLIENT = "The client_id is missing: send it in the form, or with the client_secret in the Authorization header."
UNKNOWN_CLIENT = "This client_id is not registered on this server, or its registration was removed. Register again."

Fields = dict[str, list[str]]


class Payload(OAuth2Payload):
    """The fields of a request in the form that Authlib reads."""

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
    """One request of the flow. `fields` come from the query or from the body, never from both."""

    def __init__(self, method: str, fields: Fields, headers: Mapping[str, str]) -> None:
        # Authlib refuses every http URL but loopback. The settings decide which PUBLIC_URL may be plain http.
        super().__init__(method, "https://localhost", headers=headers)
        self.payload = Payload(fields)

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The client id of a request, and how the client authenticates (RFC 6749 section 2.3)."""

    client_id: str
    method: AuthMethod
    secret: str = ""


class ClientRefused(InvalidClientError):
    """Always 401. Only a client that used the header gets a challenge, which makes browsers open a dialog."""

    def __init__(self, description: str, *, by_header: bool) -> None:
        super().__init__(description, status_code=401)
        self.by_header = by_header

    def get_headers(self) -> list[tuple[str, str]]:
        headers = [(name, value) for name, value in super().get_headers() if name != "WWW-Authenticate"]
        return [*headers, ("WWW-Authenticate", 'Basic realm="oauth"')] if self.by_header else headers


class InvalidTarget(OAuth2Error):
    """The request names a resource that is not ours (RFC 8707 section 2)."""

    error = "invalid_target"


def query_of(request: Request[State]) -> str:
    """Return the query string. Raises InvalidRequestError when it is not UTF-8."""
    query: bytes = request.scope["query_string"]
    try:
        return query.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("The query cannot be read.") from None


def fields_of(text: str) -> Fields:
    """Return the form-encoded fields that have a value.

    Raises InvalidRequestError for escapes that are not UTF-8, control characters, or more than `MAX_FIELDS` fields.
    """
    try:
        fields = parse_form(text, MAX_FIELDS)
    except ValueError:
        raise InvalidRequestError("The parameters cannot be read.") from None
    for name, values in fields.items():
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name + "".join(values)):
            raise InvalidRequestError("A parameter holds control characters.")
    with_value = {name: [value for value in values if value] for name, values in fields.items()}
    return {name: values for name, values in with_value.items() if values}


async def read_form(request: Request[State]) -> Fields:
    """Return the fields of the body. Raises InvalidRequestError (secrets in the URL too) and TooLarge."""
    types = media_types(request)
    if FORM not in types:
        is_json = any(media.endswith("json") for media in types)
        raise InvalidRequestError(f"Send the body as {FORM}" + (", not as JSON." if is_json else "."))
    if SECRET_FIELDS & set(fields_of(query_of(request))):
        raise InvalidRequestError("Credentials do not belong in the URL.")
    try:
        text = (await read_body(request, FORM_LIMIT)).decode("ascii")
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not form-encoded.") from None
    return fields_of(text)


def require_single(fields: Fields) -> None:
    """Raises InvalidRequestError for a repeated parameter, except `resource` (RFC 6749 section 3.1, RFC 8707)."""
    for name, values in fields.items():
        if len(values) > 1 and name != "resource":
            raise InvalidRequestError("A parameter occurs more than once.")


def require_one_target(fields: Fields) -> None:
    """Raises InvalidRequestError if it is not clear to whom an answer goes."""
    if any(len(fields.get(name, ())) > 1 for name in ("client_id", "redirect_uri")):
        raise InvalidRequestError("The client or the redirect URI is named more than once.")


def require_own_resource(fields: Fields, settings: Settings) -> None:
    """Raises InvalidTarget unless every `resource` is ours. A missing resource means ours (RFC 8707)."""
    if any(canonical(value) != settings.resource for value in fields.get("resource", ())):
        raise InvalidTarget(f"The resource must be {settings.resource}. Ask for that one, or leave the resource out.")


def canonical(resource: str) -> str:
    """Return the URL with a lower-case host, without its default port and without trailing slashes.

    Return "" for anything but an absolute http or https URL.
    """
    origin = origin_of_page(resource)
    if origin is None or "#" in resource:
        return ""
    parts = urlsplit(resource)
    return "" if parts.query else origin + parts.path.rstrip("/")


def client_credentials(request: FlowRequest) -> ClientCredentials:
    """Read the credentials from the header or the form.

    Raises ClientRefused for credentials in both, a malformed header, or no client id.
    """
    data = request.payload.data
    header = request.headers.get("authorization", "")
    if header.partition(" ")[0].lower() != "basic":  # an access token, which some clients add to every request
        client_id, secret = data.get("client_id", ""), data.get("client_secret", "")
        if not client_id:
            raise ClientRefused(MISSING_CLIENT, by_header="authorization" in request.headers)
        return ClientCredentials(client_id, AuthMethod.POST if secret else AuthMethod.NONE, secret)
    client_id, secret = _basic(header)
    if "client_secret" in data or data.get("client_id", client_id) != client_id:
        raise ClientRefused(
            "Client credentials are in both the Authorization header and the form. Send them in one place.",
            by_header=True,
        )
    return ClientCredentials(client_id, AuthMethod.BASIC if secret else AuthMethod.NONE, secret)


def _basic(header: str) -> tuple[str, str]:
    """Return client id and secret, each of which is form-encoded (RFC 6749 section 2.3.1)."""
    encoded = header.partition(" ")[2].strip().rstrip("=")
    try:
        decoded = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("utf-8")
    except ValueError:  # no base64, no ASCII, or no UTF-8 inside
        decoded = ""
    client_id, colon, secret = map(unquote_plus, decoded.partition(":"))
    if not colon or not client_id or "\0" in client_id + secret:
        raise ClientRefused("The header must be Basic and the base64 of client_id:client_secret.", by_header=True)
    return client_id, secret
