"""Dynamic client registration (RFC 7591), which is open to everyone.

It does not use Authlib's endpoint, which gives every client a secret and drops fields that clients expect back.
"""

import hmac
from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import Annotated

from authlib.oauth2.rfc7591 import InvalidClientMetadataError, InvalidRedirectURIError
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import from_json

from server.domain.grants import redirect_uris
from server.domain.grants.clients import GRANT_TYPES, MAX_DESCRIPTION_BYTES, Description
from server.models import AuthMethod, OAuthClient
from server.settings import Settings, secret_key
from server.web.statuses import EVERYDAY_SCOPES
from server.web.wire import is_unstorable

MAX_URIS = 50
MAX_TEXT = 4096
"""Maximum length of a text or link. A longer one is ignored."""

UNSUPPORTED_METHOD = f"This token_endpoint_auth_method is not supported. Use one of: {', '.join(AuthMethod)}."


def _text_or_nothing(value: object) -> object:
    """Ignore null, empty and malformed values, which some clients send for fields that they do not use."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_TEXT else None


def _link_or_nothing(value: str | None) -> str | None:
    return value if value is not None and value.startswith(("https://", "http://")) else None


def _known_or_default(value: object) -> object:
    """Return the client's grant types that this server supports, or all of ours if there are none."""
    supported = [grant for grant in GRANT_TYPES if isinstance(value, list) and grant in value]
    return supported or list(GRANT_TYPES)


Text = Annotated[str | None, BeforeValidator(_text_or_nothing)]
Link = Annotated[str | None, BeforeValidator(_text_or_nothing), AfterValidator(_link_or_nothing)]


class ClientMetadata(BaseModel):
    """The client metadata that this server reads (RFC 7591 section 2); it ignores other fields."""

    redirect_uris: list[object] = Field(default_factory=list)
    token_endpoint_auth_method: str | None = None
    grant_types: Annotated[list[str], BeforeValidator(_known_or_default)] = list(GRANT_TYPES)
    client_name: Text = None
    application_type: Text = None
    software_id: Text = None
    software_version: Text = None
    client_uri: Link = None
    logo_uri: Link = None
    tos_uri: Link = None
    policy_uri: Link = None


DETAILS = {"application_type", "software_id", "software_version", "client_uri", "logo_uri", "tos_uri", "policy_uri"}


def parse_description(body: bytes, public_url: str) -> Description:
    """Return the description in the body of a registration, with the redirect URIs that are allowed.

    Raises InvalidRedirectURIError when all of them are refused, InvalidClientMetadataError.
    """
    metadata = metadata_of(body)
    method = metadata.token_endpoint_auth_method or AuthMethod.BASIC
    if method not in set(AuthMethod):
        raise InvalidClientMetadataError(UNSUPPORTED_METHOD)
    description = Description(
        name=metadata.client_name or "",
        redirect_uris=usable_uris(metadata.redirect_uris, public_url),
        auth_method=AuthMethod(method),
        grant_types=metadata.grant_types,
        details=metadata.model_dump(include=DETAILS, exclude_none=True),
    )
    if not description.is_small:
        raise InvalidClientMetadataError(f"The metadata is too large: send at most {MAX_DESCRIPTION_BYTES // 1000} KB.")
    return description


def usable_uris(uris: Sequence[object], public_url: str) -> list[str]:
    """Return the redirect URIs that are allowed. Raises InvalidRedirectURIError with the reason if all are refused."""
    if not 0 < len(uris) <= MAX_URIS:
        raise InvalidRedirectURIError(f"The redirect_uris must be a list of 1 to {MAX_URIS} URIs.")
    usable = redirect_uris.allowed_among(uris, public_url)
    if not usable:
        reasons = (redirect_uris.why_not_allowed(str(uri)) for uri in uris[: redirect_uris.SHOWN_URIS])
        raise InvalidRedirectURIError(" ".join(reasons))
    return usable


def hash_of(settings: Settings, address: str, description: Description) -> str | None:
    """Return a hash of a public client and its `address`, or None for a client with a secret.

    The hash is keyed, so that the database does not reveal the address. Reads the key's file: call it on a worker
    thread.
    """
    if description.auth_method is not AuthMethod.NONE:
        return None
    text = f"{address}\n{description.as_text()}"
    return hmac.new(secret_key(settings).encode(), text.encode(), "sha256").hexdigest()


def metadata_of(body: bytes) -> ClientMetadata:
    """Parse the body. Raises InvalidRedirectURIError, InvalidClientMetadataError."""
    try:
        value = from_json(body.removeprefix(BOM_UTF8), allow_inf_nan=False)
        if is_unstorable(value):
            raise InvalidClientMetadataError("The body holds a character that cannot be stored.")
        return ClientMetadata.model_validate(value)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        if field.startswith("redirect_uris"):
            raise InvalidRedirectURIError("The redirect_uris must be a list of URIs.") from None
        problem = UNSUPPORTED_METHOD if field else "The body must be a JSON object of client metadata."
        raise InvalidClientMetadataError(problem) from None
    except ValueError:
        raise InvalidClientMetadataError("The body is not valid JSON.") from None


def response_body(client: OAuthClient, secret: str | None) -> dict[str, object]:
    """Return the registration response (RFC 7591 section 3.2.1), the only one that shows the secret."""
    body: dict[str, object] = {
        "client_id": client.id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
        "scope": " ".join(EVERYDAY_SCOPES),
        **client.details,
    }
    if client.name:
        body["client_name"] = client.name
    return body if secret is None else body | {"client_secret": secret, "client_secret_expires_at": 0}
