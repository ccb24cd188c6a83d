"""Housekeeping: deletes expired tokens, codes, requests and second steps, and clients that were never used."""

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
    PendingSignIn,
    RefreshToken,
)
from server.models.base import now

CODE_RETENTION = timedelta(days=1)
"""How long a code is kept after it expires, so that a second use is noticed."""


def remove_expired(session: Session, client_retention_days: int) -> int:
    """Delete expired rows, grants without tokens, and unused clients older than `client_retention_days`.

    Returns the number of deleted rows, without those that foreign keys delete.
    """
    moment = now()
    has_tokens = sa.or_(
        sa.exists().where(col(AccessToken.grant_id) == OAuthGrant.id),
        sa.exists().where(col(RefreshToken.grant_id) == OAuthGrant.id),
    )
    is_unused = sa.and_(
        col(OAuthClient.kind) != ClientKind.CONFIGURED,
        col(OAuthClient.authorized_at).is_(None),
        col(OAuthClient.created_at) <= moment - timedelta(days=client_retention_days),
    )
    # Tokens come before grants, because a grant ends with its last token.
    conditions: list[tuple[type[SQLModel], sa.ColumnElement[bool]]] = [
        (ParkedRequest, col(ParkedRequest.expires_at) <= moment),
        (PendingSignIn, col(PendingSignIn.expires_at) <= moment),
        (AuthorizationRequest, col(AuthorizationRequest.expires_at) <= moment),
        (AuthorizationCode, col(AuthorizationCode.expires_at) <= moment - CODE_RETENTION),
        (AccessToken, col(AccessToken.expires_at) <= moment),
        (RefreshToken, col(RefreshToken.expires_at) <= moment),
        (OAuthGrant, ~has_tokens),
        (OAuthClient, is_unused),
    ]
    removed = 0
    for table, condition in conditions:
        result = session.connection().execute(sa.delete(table).where(condition))
        removed += result.rowcount
    return removed
