"""What has served its time is removed: expired tokens, codes and requests, clients that were never used."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.models import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    ClientKind,
    OAuthClient,
    OAuthGrant,
    ParkedRequest,
    RefreshToken,
)
from server.models.base import now

# A code that was used is remembered for a while, so that its second use is noticed.
CODE_RETENTION = timedelta(days=1)


def remove_expired(session: Session, client_retention_days: int) -> int:
    """Delete what has ended; returns how many rows (those that go with them not counted)."""
    moment = now()
    alive = sa.or_(
        sa.exists().where(col(AccessToken.grant_id) == OAuthGrant.id),
        sa.exists().where(col(RefreshToken.grant_id) == OAuthGrant.id),
    )
    unused = sa.and_(
        col(OAuthClient.kind) != ClientKind.CONFIGURED,
        col(OAuthClient.authorized_at).is_(None),
        col(OAuthClient.created_at) <= moment - timedelta(days=client_retention_days),
    )
    ended: list[tuple[type[SQLModel], sa.ColumnElement[bool]]] = [
        (ParkedRequest, col(ParkedRequest.expires_at) <= moment),
        (AuthorizationRequest, col(AuthorizationRequest.expires_at) <= moment),
        (AuthorizationCode, col(AuthorizationCode.expires_at) <= moment - CODE_RETENTION),
        (AccessToken, col(AccessToken.expires_at) <= moment),
        (RefreshToken, col(RefreshToken.expires_at) <= moment),
        (OAuthGrant, ~alive),
        (OAuthClient, unused),
    ]
    removed = 0
    for table, condition in ended:
        result = session.connection().execute(sa.delete(table).where(condition))
        removed += result.rowcount
    return removed
