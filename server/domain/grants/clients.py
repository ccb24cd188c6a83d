"""OAuth clients: how they describe themselves, and the three ways in which this server gets to know them."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit
from server.domain.audit import Event
from server.domain.grants import redirect_uris
from server.domain.retention import keep_first
from server.errors import Invalid
from server.hashing import CLIENT_SECRET_PREFIX, new_token, token_hash
from server.models import AuthMethod, AuthorizationRequest, ClientKind, OAuthClient, OAuthGrant
from server.models.base import JsonObject, now

ID_PREFIX = "client_"
GRANT_TYPES = ("authorization_code", "refresh_token")
MAX_DESCRIPTION_BYTES = 8_000
MAX_UNUSED_DOCUMENTS = 1_000
"""Maximum number of metadata documents without a grant or an open request. They can be fetched again."""

RENEWED_EVERY = timedelta(days=1)
"""Minimum time between two postponements of a client's removal. Each new registration postpones it."""


@dataclass(frozen=True, slots=True)
class Description:
    """How a client describes itself. Only the form is checked, not the truth."""

    name: str
    redirect_uris: Sequence[str]
    auth_method: AuthMethod = AuthMethod.NONE
    grant_types: Sequence[str] = GRANT_TYPES
    details: JsonObject = field(default_factory=dict)

    def as_text(self) -> str:
        """Return the stored fields as text. Equal descriptions give the same text."""
        parts = [self.name, list(self.redirect_uris), self.auth_method, list(self.grant_types), self.details]
        return json.dumps(parts, sort_keys=True, ensure_ascii=False)

    @property
    def is_small(self) -> bool:
        return len(self.as_text().encode()) <= MAX_DESCRIPTION_BYTES


def find(session: Session, client_id: str) -> OAuthClient | None:
    return session.get(OAuthClient, client_id)


def find_registration(session: Session, registration_hash: str) -> OAuthClient | None:
    query = sa.select(OAuthClient).where(col(OAuthClient.registration_hash) == registration_hash)
    return session.execute(query).scalar_one_or_none()


def register(
    session: Session, description: Description, registration_hash: str | None = None
) -> tuple[OAuthClient, str | None]:
    """Store a client that registers itself (RFC 7591). `registration_hash` identifies a public client that registers
    again.

    Return the client and its secret, which is None for a public client. Only the secret's hash is stored.
    """
    client, secret = _add(session, ClientKind.REGISTERED, description)
    client.registration_hash = registration_hash if secret is None else None
    session.flush()
    return client, secret


def is_due_for_renewal(client: OAuthClient) -> bool:
    return client.created_at <= now() - RENEWED_EVERY


def renew(session: Session, client_id: str) -> None:
    """Postpone the removal of a client that registered again. The age of `created_at` decides when it is removed."""
    session.execute(sa.update(OAuthClient).where(col(OAuthClient.id) == client_id).values(created_at=now()))


def configure(
    session: Session, name: str, uris: Sequence[str], public_url: str, *, is_confidential: bool
) -> tuple[OAuthClient, str | None]:
    """Store a client that the operator sets up. It is never removed as unused.

    Returns the same as `register`. Raises Invalid.
    """
    for uri in uris:
        if not redirect_uris.is_allowed(uri, public_url):
            raise Invalid(redirect_uris.why_not_allowed(uri), field="redirect-uri")
    method = AuthMethod.BASIC if is_confidential else AuthMethod.NONE
    return _add(session, ClientKind.CONFIGURED, Description(name, tuple(uris), method))


def keep_document(session: Session, url: str, description: Description, fresh_until: datetime) -> OAuthClient:
    """Store the client that the metadata document at `url` describes. The document is fresh until `fresh_until`."""
    client = session.get(OAuthClient, url)
    if client is None:
        _forget_oldest_documents(session)
        client = OAuthClient(
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


def is_unused_document() -> sa.ColumnElement[bool]:
    """Return the condition for clients from documents without a grant or an open request. They can be fetched again."""
    return sa.and_(
        col(OAuthClient.kind) == ClientKind.DOCUMENT,
        ~sa.exists().where(col(OAuthGrant.client_id) == OAuthClient.id),
        ~sa.exists().where(col(AuthorizationRequest.client_id) == OAuthClient.id),
    )


def secret_matches(client: OAuthClient, secret: str) -> bool:
    """Compare the hashes in constant time."""
    return client.secret_hash is not None and hmac.compare_digest(client.secret_hash, token_hash(secret))


def _forget_oldest_documents(session: Session) -> None:
    """Delete the oldest unused documents, so that there is room for one more."""
    unused = sa.select(col(OAuthClient.id)).where(is_unused_document()).order_by(col(OAuthClient.created_at).desc())
    keep_first(session, OAuthClient, unused, MAX_UNUSED_DOCUMENTS - 1)


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
