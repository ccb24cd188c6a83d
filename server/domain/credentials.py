"""Authenticates a credential. Only this module turns a key, a token or a session into a principal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import project_role_of
from server.domain.client_names import cleaned_name
from server.errors import Unauthenticated
from server.hashing import API_KEY_PREFIX, is_api_key, token_hash
from server.models import AccessToken, ApiKey, BrowserSession, OAuthClient, OAuthGrant, Organization, Project
from server.models.base import now
from server.principal import CredentialKind, Principal, Scope, with_implied
from server.storage.statements import Query

NOTE_USE_EVERY = timedelta(minutes=1)
"""The minimum time between two updates of a credential's last use."""

SESSION_NAME = "Dashboard"
"""The name of the source of all memories that are written in browser sessions."""

IDLE_TIMEOUT = timedelta(days=14)
"""A session ends if it is not used for this long."""


_TABLES: dict[CredentialKind, type[ApiKey | BrowserSession | OAuthGrant]] = {
    CredentialKind.SESSION: BrowserSession,
    CredentialKind.API_KEY: ApiKey,
    CredentialKind.ACCESS_TOKEN: OAuthGrant,
}


class CredentialEnded(Unauthenticated):
    sentence = "The session, key or connection of this request has ended. Sign in or connect again."
    reason = "ended"


@dataclass(frozen=True)
class PresentedCredential:
    """The credential of a request: a bearer token, or a session's value if `is_session`."""

    value: str
    is_session: bool = False

    @cached_property
    def hash(self) -> str:
        return token_hash(self.value)


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The principal. `note_use` asks the caller to record the use, because the last record is over a minute old."""

    principal: Principal
    note_use: bool = False


def authenticate(session: Session, presented: PresentedCredential) -> Authenticated:
    """Return the credential's principal. Raises Unauthenticated, with the same message for every reason."""
    if presented.is_session:
        return _authenticate_session(session, presented.hash)
    if presented.value.startswith(API_KEY_PREFIX):
        return _authenticate_api_key(session, presented)
    return _authenticate_access_token(session, presented.hash)


def note_use(session: Session, principal: Principal) -> None:
    table, column = _TABLES[principal.kind], "last_seen_at" if principal.is_session else "last_used_at"
    session.execute(sa.update(table).where(col(table.id) == principal.credential_id).values({column: now()}))


_KEPT = {
    kind: Query(sa.select(col(table.id)).where(col(table.id) == sa.bindparam("credential_id")))
    for kind, table in _TABLES.items()
}


def require_kept(session: Session, principal: Principal) -> None:
    """Raises CredentialEnded if the credential was revoked after its request began. A door reads the credential before
    the body, and a sender can delay the body. So each transaction that changes something asks again.
    """
    if _KEPT[principal.kind].row(session, credential_id=principal.credential_id) is None:
        raise CredentialEnded


def _authenticate_api_key(session: Session, presented: PresentedCredential) -> Authenticated:
    if not is_api_key(presented.value):
        raise Unauthenticated(reason="mistyped")
    row = _KEY.row(session, hash=presented.hash)
    if row is None:
        raise Unauthenticated(reason="unknown_key")
    key_id, name, project_id, user_id, permissions, last_used_at, expires_at, role = row
    moment = now()
    _require_current(key_id, role, is_expired=expires_at is not None and expires_at <= moment)
    scopes = with_implied(frozenset(Scope(f"memories:{permission}") for permission in permissions))
    principal = Principal(user_id, CredentialKind.API_KEY, key_id, project_id, scopes, name)
    return Authenticated(principal, _is_stale(last_used_at, moment))


_KEY = Query(
    sa.select(
        col(ApiKey.id),
        col(ApiKey.name),
        col(ApiKey.project_id),
        col(ApiKey.created_by),
        col(ApiKey.permissions),
        col(ApiKey.last_used_at),
        col(ApiKey.expires_at),
        project_role_of(col(ApiKey.created_by)).label("role"),
    )
    .join(Project, col(Project.id) == ApiKey.project_id)
    .join(Organization, col(Organization.id) == Project.organization_id)
    .where(col(ApiKey.token_hash) == sa.bindparam("hash"))
)


def _authenticate_session(session: Session, value_hash: str) -> Authenticated:
    query = sa.select(BrowserSession).where(col(BrowserSession.token_hash) == value_hash)
    row = session.execute(query).scalar_one_or_none()
    moment = now()
    if row is None:
        raise Unauthenticated(reason="unknown_session")
    if row.expires_at <= moment or row.last_seen_at <= moment - IDLE_TIMEOUT:
        raise Unauthenticated(reason="expired", credential_id=row.id)
    principal = Principal(row.user_id, CredentialKind.SESSION, row.id, credential_name=SESSION_NAME)
    return Authenticated(principal, _is_stale(row.last_seen_at, moment))


def _authenticate_access_token(session: Session, value_hash: str) -> Authenticated:
    row = _TOKEN.row(session, hash=value_hash)
    if row is None:
        raise Unauthenticated(reason="unknown_token")
    grant_id, name, kind, user_id, project_id, last_used_at, scopes, expires_at, role = row
    moment = now()
    _require_current(grant_id, role, is_expired=expires_at <= moment)
    included = with_implied(frozenset(map(Scope, scopes)))
    shown = cleaned_name(name, kind)
    principal = Principal(user_id, CredentialKind.ACCESS_TOKEN, grant_id, project_id, included, shown)
    return Authenticated(principal, _is_stale(last_used_at, moment))


# The grant is the credential, because its id stays the same while tokens change.
_TOKEN = Query(
    sa.select(
        col(OAuthGrant.id),
        col(OAuthClient.name),
        col(OAuthClient.kind),
        col(OAuthGrant.user_id),
        col(OAuthGrant.project_id),
        col(OAuthGrant.last_used_at),
        col(AccessToken.scopes),
        col(AccessToken.expires_at),
        project_role_of(col(OAuthGrant.user_id)).label("role"),
    )
    .join(OAuthGrant, col(OAuthGrant.id) == AccessToken.grant_id)
    .join(OAuthClient, col(OAuthClient.id) == OAuthGrant.client_id)
    .join(Project, col(Project.id) == OAuthGrant.project_id)
    .join(Organization, col(Organization.id) == Project.organization_id)
    .where(col(AccessToken.token_hash) == sa.bindparam("hash"))
)


def _require_current(credential_id: str, role: str | None, *, is_expired: bool) -> None:
    """Raises Unauthenticated if the key or token has expired, or its owner has no role in the project any more."""
    if role is None:
        raise Unauthenticated(reason="role_lost", credential_id=credential_id)
    if is_expired:
        raise Unauthenticated(reason="expired", credential_id=credential_id)


def _is_stale(last_used_at: datetime | None, moment: datetime) -> bool:
    return last_used_at is None or moment - last_used_at > NOTE_USE_EVERY
