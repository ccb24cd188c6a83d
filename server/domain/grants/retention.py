"""Housekeeping: deletes expired tokens, codes and requests, unused clients, and stale documents."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.domain.grants import clients
from server.domain.retention import delete_chunks
from server.models import (
    AccessToken,
    AuthorizationCode,
    AuthorizationRequest,
    ClientKind,
    OAuthClient,
    OAuthGrant,
    RefreshToken,
)
from server.models.base import now

CODE_RETENTION = timedelta(days=1)
"""How long a code is kept after it expires, so that a second use is noticed."""


DOCUMENT_RETENTION = timedelta(days=1)
"""How long the description from a metadata document is kept without a grant or an open request."""


def remove_expired(session: Session, client_retention_days: int) -> int:
    """Delete expired rows, grants without tokens, unused clients older than `client_retention_days`, and documents.

    Delete at most CHUNK_ROWS of each table and return how many, without those that foreign keys delete. Call it until
    it returns 0.
    """
    moment = now()
    has_tokens = sa.or_(
        sa.exists().where(col(AccessToken.grant_id) == OAuthGrant.id),
        sa.exists().where(col(RefreshToken.grant_id) == OAuthGrant.id),
    )
    is_unused = sa.and_(
        col(OAuthClient.kind) == ClientKind.REGISTERED,
        col(OAuthClient.authorized_at).is_(None),
        col(OAuthClient.created_at) <= moment - timedelta(days=client_retention_days),
    )
    is_old_document = sa.and_(clients.is_unused_document(), col(OAuthClient.created_at) <= moment - DOCUMENT_RETENTION)
    # A grant ends with its last token, so it goes with the next call. Documents last, because the other rows may need
    # them.
    conditions: list[tuple[type[SQLModel], sa.ColumnElement[bool]]] = [
        (AuthorizationRequest, col(AuthorizationRequest.expires_at) <= moment),
        (AuthorizationCode, col(AuthorizationCode.expires_at) <= moment - CODE_RETENTION),
        (AccessToken, col(AccessToken.expires_at) <= moment),
        (RefreshToken, col(RefreshToken.expires_at) <= moment),
        (OAuthGrant, ~has_tokens),
        (OAuthClient, sa.or_(is_unused, is_old_document)),
    ]
    return delete_chunks(session, conditions)
