"""OAuth clients: how they describe themselves, and the three ways in which they get onto this server."""

import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session

from server.domain import audit
from server.domain.audit import Event
from server.domain.grants import redirect_uris
from server.errors import Invalid
from server.hashing import CLIENT_SECRET_PREFIX, new_token, token_hash
from server.models import AuthMethod, ClientKind, OAuthClient
from server.models.base import JsonObject, now

ID_PREFIX = "client_"
GRANT_TYPES = ("authorization_code", "refresh_token")
SHOWN_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Description:
    """How a client describes itself. The form is checked; nobody has verified that it is true."""

    name: str
    redirect_uris: Sequence[str]
    auth_method: AuthMethod = AuthMethod.NONE
    grant_types: Sequence[str] = GRANT_TYPES
    details: JsonObject = field(default_factory=dict)


def find(session: Session, client_id: str) -> OAuthClient | None:
    return session.get(OAuthClient, client_id)


def register(session: Session, description: Description) -> tuple[OAuthClient, str | None]:
    """Store a client that registers itself (RFC 7591).

    Returns it with its secret, None for a public client. Only the secret's hash is stored.
    """
    return _add(session, ClientKind.REGISTERED, description)


def configure(
    session: Session, name: str, uris: Sequence[str], *, is_confidential: bool
) -> tuple[OAuthClient, str | None]:
    """Store a client that the operator sets up. It is never removed as unused.

    Returns the same as `register`. Raises Invalid.
    """
    if not uris or not all(map(redirect_uris.is_allowed, uris)):
        raise Invalid("use https, http on localhost, or the private scheme of an application.", field="redirect-uri")
    method = AuthMethod.BASIC if is_confidential else AuthMethod.NONE
    return _add(session, ClientKind.CONFIGURED, Description(name, tuple(uris), method))


def keep_document(session: Session, url: str, description: Description, fresh_until: datetime) -> OAuthClient:
    """Store the client that the metadata document at `url` describes. It need not be read again until `fresh_until`."""
    client = session.get(OAuthClient, url) or OAuthClient(
        id=url, kind=ClientKind.DOCUMENT, redirect_uris=[], grant_types=[], auth_method=AuthMethod.NONE
    )
    client.name = description.name
    client.redirect_uris = list(description.redirect_uris)
    client.grant_types = list(description.grant_types)
    client.read_at = now()
    client.fresh_until = fresh_until
    session.add(client)
    session.flush()
    return client


def secret_matches(client: OAuthClient, secret: str) -> bool:
    """Compare the hashes in constant time."""
    return client.secret_hash is not None and hmac.compare_digest(client.secret_hash, token_hash(secret))


def shown_name(client: OAuthClient) -> str:
    """Return the client's name for people: one short line without control, direction or invisible characters."""
    visible = "".join(c for c in client.name if c.isspace() or unicodedata.category(c)[0] != "C")
    text = " ".join(visible.split())
    if len(text) > SHOWN_NAME_LENGTH:
        return text[: SHOWN_NAME_LENGTH - 1] + "…"
    return text or "An application without a name"


def _add(session: Session, kind: ClientKind, description: Description) -> tuple[OAuthClient, str | None]:
    secret = None if description.auth_method is AuthMethod.NONE else new_token(CLIENT_SECRET_PREFIX)
    client = OAuthClient(
        id=new_token(ID_PREFIX),
        kind=kind,
        name=description.name,
        redirect_uris=list(description.redirect_uris),
        grant_types=list(description.grant_types),
        auth_method=description.auth_method,
        secret_hash=token_hash(secret) if secret else None,
        details=description.details,
    )
    session.add(client)
    audit.record(session, Event.CLIENT_REGISTERED, None, None, client.id)
    return client, secret
