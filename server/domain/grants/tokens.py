"""Access and refresh tokens: exchanged, rotated, revoked and looked at.

All tokens of one consent are a family that hangs on its grant. A code or refresh token that comes again when it should
not means that somebody copied it: the grant is deleted, and the family with it (OAuth 2.1 sections 4.1.3 and 4.3.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import access, audit
from server.domain.audit import Event
from server.hashing import ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX, new_token, token_hash
from server.models import AccessToken, AuthorizationCode, OAuthGrant, Organization, Project, ProjectRole, RefreshToken
from server.models.base import now
from server.settings import Settings

# Enough for all processes that share one refresh token and exchange it at the same moment.
MOST_LIVE = 64
# What was read before a lock was held may have changed since.
REREAD = {"populate_existing": True}


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What the client receives; `expires_in` is in seconds."""

    access_token: str
    refresh_token: str | None
    expires_in: int
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ActiveToken:
    """An access token that counts now."""

    user_id: str
    client_id: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime


def find_code(session: Session, code: str, client_id: str) -> AuthorizationCode | None:
    """The client's own code: one that can be used, or one that was (to be told so by `redeem`)."""
    found = session.get(AuthorizationCode, token_hash(code))
    if found is None or found.client_id != client_id:
        return None
    return found if found.used_at is not None or found.expires_at > now() else None


def redeem(
    session: Session, settings: Settings, code: AuthorizationCode, *, with_refresh_token: bool
) -> IssuedTokens | None:
    """Exchange a code whose verifier was right: once. A second time ends what the first was exchanged for.

    None when it does not count; the caller must commit all the same.
    """
    if not _lock(session, code):
        return None
    if code.used_at is not None:
        _end_replayed(session, code)
        return None
    moment = now()
    if code.expires_at <= moment:
        return None
    code.used_at = moment
    role = _role(session, code.user_id, code.project_id)
    if role is None:
        return None
    grant = OAuthGrant(user_id=code.user_id, client_id=code.client_id, project_id=code.project_id, scopes=code.scopes)
    session.add(grant)
    session.flush()
    code.grant_id = grant.id
    scopes = access.grantable(role, code.scopes)
    return _issue(session, settings, grant, scopes, with_refresh_token=with_refresh_token)


def find_refresh_token(session: Session, token: str) -> tuple[RefreshToken, OAuthGrant] | None:
    """The refresh token, exchanged already or not, and its grant."""
    query = sa.select(RefreshToken, OAuthGrant).join(OAuthGrant, col(OAuthGrant.id) == RefreshToken.grant_id)
    found = session.execute(query.where(col(RefreshToken.token_hash) == token_hash(token))).one_or_none()
    return None if found is None else (found[0], found[1])


def rotate(session: Session, settings: Settings, token: RefreshToken, scopes: Sequence[str]) -> IssuedTokens | None:
    """Exchange a refresh token for an access token and its own successor.

    Within the grace period it may come again and gets another successor: answers get lost, and several processes share
    one token. After it the family ends. None when it does not count; the caller must commit all the same.
    """
    locked = sa.select(OAuthGrant).where(col(OAuthGrant.id) == token.grant_id).with_for_update()
    grant = session.execute(locked, execution_options=REREAD).scalar_one_or_none()
    same = sa.select(RefreshToken).where(col(RefreshToken.token_hash) == token.token_hash)
    if grant is None or session.execute(same, execution_options=REREAD).one_or_none() is None:
        return None
    moment = now()
    grace = timedelta(seconds=settings.refresh_grace_seconds)
    if token.rotated_at is not None and moment >= token.rotated_at + grace:
        _end_family(session, grant, Event.TOKEN_REUSED)
        return None
    role = _role(session, grant.user_id, grant.project_id)
    if token.expires_at <= moment or role is None:
        return None
    token.rotated_at = token.rotated_at or moment
    issued = _issue(session, settings, grant, access.grantable(role, scopes), with_refresh_token=True)
    _bound(session, grant.id)
    return issued


def revoke(session: Session, token: str, client_id: str) -> None:
    """End the client's own token; a refresh token takes its family along (RFC 7009 section 2.1). Unknown: nothing."""
    found = find_refresh_token(session, token)
    if found is not None:
        if found[1].client_id == client_id:
            _end_family(session, found[1], Event.TOKEN_REVOKED)
        return
    of_client = sa.select(col(OAuthGrant.id)).where(col(OAuthGrant.client_id) == client_id)
    session.execute(
        sa.delete(AccessToken).where(
            col(AccessToken.token_hash) == token_hash(token), col(AccessToken.grant_id).in_(of_client)
        )
    )


def introspect(session: Session, token: str, client_id: str) -> ActiveToken | None:
    """The client's own access token, if it counts now (RFC 7662)."""
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
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    row, grant = found[0], found[1]
    scopes = access.grantable(ProjectRole(found[2]), row.scopes)
    return ActiveToken(grant.user_id, grant.client_id, scopes, row.created_at, row.expires_at)


def _issue(
    session: Session, settings: Settings, grant: OAuthGrant, scopes: Sequence[str], *, with_refresh_token: bool
) -> IssuedTokens:
    moment = now()
    access_token, refresh_token = new_token(ACCESS_TOKEN_PREFIX), new_token(REFRESH_TOKEN_PREFIX)
    session.add(
        AccessToken(
            token_hash=token_hash(access_token),
            grant_id=grant.id,
            scopes=list(scopes),
            created_at=moment,
            expires_at=moment + timedelta(seconds=settings.access_token_seconds),
        )
    )
    if with_refresh_token:
        lifetime = timedelta(days=settings.refresh_token_days)
        session.add(
            RefreshToken(
                token_hash=token_hash(refresh_token), grant_id=grant.id, created_at=moment, expires_at=moment + lifetime
            )
        )
    session.flush()
    return IssuedTokens(
        access_token, refresh_token if with_refresh_token else None, settings.access_token_seconds, scopes
    )


def _bound(session: Session, grant_id: str) -> None:
    """Of one family only the newest live tokens stay, whatever a client does within the grace period."""
    for table, is_live in ((RefreshToken, col(RefreshToken.rotated_at).is_(None)), (AccessToken, sa.true())):
        live = sa.select(col(table.token_hash)).where(col(table.grant_id) == grant_id, is_live)
        oldest = live.order_by(col(table.created_at).desc()).offset(MOST_LIVE)
        hashes = session.execute(oldest).scalars().all()
        if hashes:
            session.execute(sa.delete(table).where(col(table.token_hash).in_(hashes)))


def _lock(session: Session, code: AuthorizationCode) -> bool:
    """One exchange of a code at a time; it is read again, as the one before has left it. False when it is gone."""
    query = sa.select(AuthorizationCode).where(col(AuthorizationCode.code_hash) == code.code_hash).with_for_update()
    return session.execute(query, execution_options=REREAD).one_or_none() is not None


def _end_replayed(session: Session, code: AuthorizationCode) -> None:
    query = sa.select(OAuthGrant).where(col(OAuthGrant.id) == code.grant_id).with_for_update()
    grant = session.execute(query).scalar_one_or_none()
    if grant is not None:
        _end_family(session, grant, Event.TOKEN_REUSED)


def _end_family(session: Session, grant: OAuthGrant, event: Event) -> None:
    place = sa.select(col(Project.organization_id)).where(col(Project.id) == grant.project_id)
    organization_id = session.execute(place).scalar_one()
    audit.record(session, event, grant.user_id, organization_id, grant.id, client_id=grant.client_id)
    session.execute(sa.delete(OAuthGrant).where(col(OAuthGrant.id) == grant.id))


def _role(session: Session, user_id: str, project_id: str) -> ProjectRole | None:
    """The user's role in the project as it is now: what the user lost since the consent no token has."""
    query = sa.select(access.project_role_of(user_id)).select_from(Project).join(
        Organization, col(Organization.id) == Project.organization_id
    )  # fmt: skip
    role = session.execute(query.where(col(Project.id) == project_id)).scalar_one_or_none()
    return None if role is None else ProjectRole(role)
