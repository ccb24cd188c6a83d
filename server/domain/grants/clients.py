"""OAuth clients: what they say about themselves, and the three ways in which this server comes to know them."""

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
    """What a client says about itself, checked for form; nothing of it is verified."""

    name: str
    redirect_uris: Sequence[str]
    auth_method: AuthMethod = AuthMethod.NONE
    grant_types: Sequence[str] = GRANT_TYPES
    details: JsonObject = field(default_factory=dict)


def find(session: Session, client_id: str) -> OAuthClient | None:
    return session.get(OAuthClient, client_id)


def register(session: Session, described: Description) -> tuple[OAuthClient, str | None]:
    """A client that registers itself (RFC 7591), and its secret if it authenticates with one; shown this once."""
    client, secret = _new(ClientKind.REGISTERED, described)
    session.add(client)
    audit.record(session, Event.CLIENT_REGISTERED, None, None, client.id)
    return client, secret


def configure(
    session: Session, name: str, uris: Sequence[str], *, is_confidential: bool
) -> tuple[OAuthClient, str | None]:
    """A client that the operator sets up; it is never removed as unused. Raises Invalid."""
    if not uris or not all(map(redirect_uris.is_allowed, uris)):
        raise Invalid("use https, http on localhost, or the private scheme of an application.", field="redirect-uri")
    method = AuthMethod.BASIC if is_confidential else AuthMethod.NONE
    client, secret = _new(ClientKind.CONFIGURED, Description(name, tuple(uris), method))
    session.add(client)
    audit.record(session, Event.CLIENT_REGISTERED, None, None, client.id)
    return client, secret


def keep_document(session: Session, url: str, described: Description, fresh_until: datetime) -> OAuthClient:
    """The client whose metadata document was just read at `url`, kept until `fresh_until` without asking again."""
    client = session.get(OAuthClient, url) or OAuthClient(
        id=url, kind=ClientKind.DOCUMENT, redirect_uris=[], grant_types=[], auth_method=AuthMethod.NONE
    )
    client.name = described.name
    client.redirect_uris = list(described.redirect_uris)
    client.grant_types = list(described.grant_types)
    client.read_at, client.fresh_until = now(), fresh_until
    session.add(client)
    session.flush()
    return client


def secret_matches(client: OAuthClient, secret: str) -> bool:
    """Compares hashes in constant time."""
    return client.secret_hash is not None and hmac.compare_digest(client.secret_hash, token_hash(secret))


def shown_name(client: OAuthClient) -> str:
    """Its name for people: no control, direction or invisible characters, one line, not longer than one is read."""
    visible = "".join(c for c in client.name if c.isspace() or unicodedata.category(c)[0] != "C")
    text = " ".join(visible.split())
    return (
        text if len(text) <= SHOWN_NAME_LENGTH else text[: SHOWN_NAME_LENGTH - 1] + "…"
    ) or "An application without a name"


def _new(kind: ClientKind, described: Description) -> tuple[OAuthClient, str | None]:
    secret = None if described.auth_method is AuthMethod.NONE else new_token(CLIENT_SECRET_PREFIX)
    client = OAuthClient(
        id=new_token(ID_PREFIX),
        kind=kind,
        name=described.name,
        redirect_uris=list(described.redirect_uris),
        grant_types=list(described.grant_types),
        auth_method=described.auth_method,
        secret_hash=token_hash(secret) if secret else None,
        details=described.details,
    )
    return client, secret
