"""Access and refresh tokens: exchange, rotation, revocation and introspection.

All tokens of one consent are a family that belongs to its grant. A code that is used twice, or a refresh token that
keeps coming back, has been copied: its grant is deleted with the whole family (OAuth 2.1 sections 4.1.3 and 4.3.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import access, audit
from server.domain.audit import Event
from server.domain.grants import refusals
from server.domain.grants.refusals import Refusal, organization_of
from server.domain.retention import keep_first
from server.hashing import ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX, new_token, token_hash
from server.models import AccessToken, AuthorizationCode, OAuthGrant, Organization, Project, ProjectRole, RefreshToken
from server.models.base import JSON, now
from server.settings import Settings
from server.storage.statements import count_rows

MAX_SUCCESSORS = 3
"""Maximum number of successors of one refresh token: enough for lost answers, and for processes that share it."""

MAX_LIVE_TOKENS = 2_000
"""Maximum number of unexchanged refresh tokens in a family. Above it, each token gets only one successor. An
application with two processes that exchange the same token every hour leaves 24 unexchanged tokens a day, and each
lives for 60 days.
"""

ROTATED_KEPT = 32
"""How many exchanged refresh tokens to keep per family, so that a second use is noticed."""

MAX_ACCESS_TOKENS = 256
"""Maximum number of access tokens per family. The oldest are deleted first."""

MAX_GRANTS = 500
"""Maximum number of a user's grants. A new one replaces the one that was not used for the longest time."""


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What the client receives; `expires_in` is in seconds."""

    access_token: str
    refresh_token: str | None
    expires_in: int
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ActiveToken:
    """An access token that is valid now."""

    user_id: str
    client_id: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime


def find_code(session: Session, code: str, client_id: str) -> AuthorizationCode | Refusal:
    """Return the client's own code. It may be used or expired; `redeem` refuses such a code."""
    row = session.get(AuthorizationCode, token_hash(code))
    if row is None:
        return Refusal.UNKNOWN
    return row if row.client_id == client_id else refusals.refuse_code(session, row, Refusal.OTHER_CLIENT)


def redeem(
    session: Session, settings: Settings, code: AuthorizationCode, *, with_refresh_token: bool
) -> IssuedTokens | Refusal:
    """Exchange a code, once. The caller must have checked its verifier. A second use ends the grant of the first.

    The caller must commit a refusal too.
    """
    if not _lock(session, code):
        return Refusal.GRANT_ENDED
    moment = now()
    if code.used_at is not None:
        _end_replayed(session, code)
        return refusals.refuse_code(session, code, Refusal.ALREADY_USED)
    if code.expires_at <= moment:
        return refusals.refuse_code(session, code, Refusal.EXPIRED)
    code.used_at = moment
    role = access.role_in(session, code.user_id, code.project_id)
    if role is None:
        return refusals.refuse_code(session, code, Refusal.ROLE_LOST)
    _make_room(session, code.user_id)
    grant = OAuthGrant(
        user_id=code.user_id, client_id=code.client_id, project_id=code.project_id, scopes=code.scopes,
        is_read_only=code.is_read_only,
    )  # fmt: skip
    session.add(grant)
    session.flush()
    code.grant_id = grant.id
    scopes = access.grantable(role, code.scopes)
    return _issue(session, settings, grant, scopes, with_refresh_token=with_refresh_token)


def find_refresh_token(session: Session, token: str) -> tuple[RefreshToken, OAuthGrant] | None:
    """Return the refresh token, exchanged already or not, with its grant."""
    query = sa.select(RefreshToken, OAuthGrant).join(OAuthGrant, col(OAuthGrant.id) == RefreshToken.grant_id)
    row = session.execute(query.where(col(RefreshToken.token_hash) == token_hash(token))).one_or_none()
    return None if row is None else (row[0], row[1])


def grant_id_of(session: Session, refresh_token: str) -> str | None:
    query = sa.select(col(RefreshToken.grant_id)).where(col(RefreshToken.token_hash) == token_hash(refresh_token))
    return session.execute(query).scalar_one_or_none()


def rotate(session: Session, settings: Settings, token: RefreshToken, scopes: Sequence[str]) -> IssuedTokens | Refusal:
    """Exchange a refresh token for an access token and a new refresh token.

    Within the grace period the same token can be exchanged for up to `MAX_SUCCESSORS`, because answers get lost, and
    several processes may share one token. After that period, the first use is refused and the second ends the family.
    The caller must commit a refusal too.
    """
    grant = _locked_grant(session, token.grant_id)
    if grant is None:
        return Refusal.GRANT_ENDED
    if session.get(RefreshToken, token.token_hash, populate_existing=True) is None:
        return refusals.refuse_token(session, grant, Refusal.DISCARDED)
    moment = now()
    if token.rotated_at is not None:
        is_late = moment >= token.rotated_at + timedelta(seconds=settings.refresh_grace_seconds)
        refusal = _refuse_late(session, grant, token) if is_late else _refuse_excess(session, grant, token)
        if refusal is not None:
            return refusal
    if token.expires_at <= moment:
        return refusals.refuse_token(session, grant, Refusal.EXPIRED)
    role = access.role_in(session, grant.user_id, grant.project_id)  # it may have changed since the consent
    if role is None:
        return refusals.refuse_token(session, grant, Refusal.ROLE_LOST)
    token.rotated_at = token.rotated_at or moment
    token.successors += 1
    if token.successors == 2:
        refusals.note_repetition(session, grant)
    issued = _issue(session, settings, grant, access.grantable(role, scopes), with_refresh_token=True)
    _prune(session, grant.id)
    return issued


def revoke(session: Session, token: str, client_id: str) -> None:
    """End the client's own token; a refresh token ends its whole family (RFC 7009 section 2.1).

    Does nothing for a token that is unknown or another client's.
    """
    refresh_token = find_refresh_token(session, token)
    if refresh_token is not None:
        _, grant = refresh_token
        if grant.client_id == client_id:
            _end_family(session, grant, Event.TOKEN_REVOKED)
        return
    grants_of_client = sa.select(col(OAuthGrant.id)).where(col(OAuthGrant.client_id) == client_id)
    session.execute(
        sa.delete(AccessToken).where(
            col(AccessToken.token_hash) == token_hash(token), col(AccessToken.grant_id).in_(grants_of_client)
        )
    )


def introspect(session: Session, token: str, client_id: str) -> ActiveToken | None:
    """Return the client's own access token, if it is valid now (RFC 7662)."""
    role = access.project_role_of(col(OAuthGrant.user_id))
    query = (
        sa.select(AccessToken, OAuthGrant, role)
        .join(OAuthGrant, col(OAuthGrant.id) == AccessToken.grant_id)
        .join(Project, col(Project.id) == OAuthGrant.project_id)
        .join(Organization, col(Organization.id) == Project.organization_id)
        .where(
            col(AccessToken.token_hash) == token_hash(token),
            col(AccessToken.expires_at) > now(),
            col(OAuthGrant.client_id) == client_id,
            role.is_not(None),
        )
    )
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    access_token, grant, role_value = row
    scopes = access.grantable(ProjectRole(role_value), access_token.scopes)
    return ActiveToken(grant.user_id, grant.client_id, scopes, access_token.created_at, access_token.expires_at)


def _issue(
    session: Session, settings: Settings, grant: OAuthGrant, scopes: Sequence[str], *, with_refresh_token: bool
) -> IssuedTokens:
    moment = now()
    access_token = new_token(ACCESS_TOKEN_PREFIX)
    session.add(
        AccessToken(
            token_hash=token_hash(access_token),
            grant_id=grant.id,
            scopes=list(scopes),
            created_at=moment,
            expires_at=moment + timedelta(seconds=settings.access_token_seconds),
        )
    )
    refresh_token = None
    if with_refresh_token:
        refresh_token = new_token(REFRESH_TOKEN_PREFIX)
        session.add(
            RefreshToken(
                token_hash=token_hash(refresh_token),
                grant_id=grant.id,
                created_at=moment,
                expires_at=moment + timedelta(days=settings.refresh_token_days),
            )
        )
    session.flush()
    return IssuedTokens(access_token, refresh_token, settings.access_token_seconds, scopes)


def _refuse_excess(session: Session, grant: OAuthGrant, token: RefreshToken) -> Refusal | None:
    """Refuse another successor when the token or its family has enough. Live tokens stay."""
    is_live = (col(RefreshToken.grant_id) == grant.id, col(RefreshToken.rotated_at).is_(None))
    if token.successors < MAX_SUCCESSORS and count_rows(session, RefreshToken, *is_live) < MAX_LIVE_TOKENS:
        return None
    return refusals.refuse_token(session, grant, Refusal.TOO_OFTEN)


def _refuse_late(session: Session, grant: OAuthGrant, token: RefreshToken) -> Refusal:
    """Refuse a token after its grace period. The first late use may be honest; the second ends the family."""
    if token.reused_at is None:
        token.reused_at = now()
        return refusals.refuse_late(session, grant)
    _end_family(session, grant, Event.TOKEN_REUSED, reason=Refusal.REUSED)
    return Refusal.REUSED  # `_end_family` recorded the event


def _prune(session: Session, grant_id: str) -> None:
    """Delete the oldest exchanged refresh tokens and the oldest access tokens of a family. Live refresh tokens stay."""
    rotated = (
        sa.select(col(RefreshToken.token_hash))
        .where(col(RefreshToken.grant_id) == grant_id, col(RefreshToken.rotated_at).is_not(None))
        .order_by(col(RefreshToken.rotated_at).desc())
    )
    access_tokens = (
        sa.select(col(AccessToken.token_hash))
        .where(col(AccessToken.grant_id) == grant_id)
        .order_by(col(AccessToken.created_at).desc())
    )
    keep_first(session, RefreshToken, rotated, ROTATED_KEPT)
    keep_first(session, AccessToken, access_tokens, MAX_ACCESS_TOKENS)


def _lock(session: Session, code: AuthorizationCode) -> bool:
    """Lock the code and read it again, so that it is exchanged once at a time. Return False when it is gone."""
    return session.get(AuthorizationCode, code.code_hash, populate_existing=True, with_for_update=True) is not None


def _make_room(session: Session, user_id: str) -> None:
    """Delete the user's grants that were not used for the longest time, so that there is room for one more."""
    used_at = sa.func.coalesce(col(OAuthGrant.last_used_at), col(OAuthGrant.created_at))
    grants = sa.select(col(OAuthGrant.id)).where(col(OAuthGrant.user_id) == user_id).order_by(used_at.desc())
    keep_first(session, OAuthGrant, grants, MAX_GRANTS - 1)


def _locked_grant(session: Session, grant_id: str) -> OAuthGrant | None:
    return session.get(OAuthGrant, grant_id, populate_existing=True, with_for_update=True)


def _end_replayed(session: Session, code: AuthorizationCode) -> None:
    if code.grant_id and (grant := _locked_grant(session, code.grant_id)):
        _end_family(session, grant, Event.TOKEN_REUSED, reason=Refusal.ALREADY_USED)


def _end_family(session: Session, grant: OAuthGrant, event: Event, **details: JSON) -> None:
    organization_id = session.execute(organization_of(grant.project_id)).scalar_one()
    audit.record(session, event, grant.user_id, organization_id, grant.id, client_id=grant.client_id, **details)
    session.execute(sa.delete(OAuthGrant).where(col(OAuthGrant.id) == grant.id))
