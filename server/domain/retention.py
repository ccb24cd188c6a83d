"""Housekeeping of expired rows: how long each kind is kept, and how they are deleted in chunks."""

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.domain import turns
from server.domain.audit import RETENTION, RETENTION_WITHOUT_ORGANIZATION
from server.domain.credentials import IDLE_TIMEOUT
from server.domain.sent_letters import WINDOW
from server.models import (
    AuditEvent,
    BrowserSession,
    Invitation,
    Mail,
    MailedToken,
    PendingSignIn,
    SentLetter,
    UsedChallenge,
)
from server.models.base import new_id, now
from server.storage.database import is_sqlite, paused

CHUNK_ROWS = 500
"""Maximum number of rows that one statement deletes, so that other writers do not wait long."""

EVENTS_AT_ONCE = 10_000
"""How many audit events are deleted together with their organization or account."""

INVITATION_RETENTION = timedelta(days=90)
"""How long an invitation is kept after it expired."""

MAIL_RETENTION = timedelta(days=7)
"""After this time the links in a letter have expired, so there is no point in sending it."""


def remove_ended(session: Session) -> int:
    """Delete up to CHUNK_ROWS expired rows of each kind, and return how many. Call it until it returns 0."""
    moment = now()
    # The index on ids, which sort by time, makes it fast. `created_at` is checked too, in case the clock was set back.
    forgotten = [
        col(AuditEvent.created_at) <= moment - RETENTION,
        col(AuditEvent.id) < new_id("evt_", moment - RETENTION + timedelta(days=1)),
    ]
    of_nobody = [
        col(AuditEvent.organization_id).is_(None),
        col(AuditEvent.user_id).is_(None),
        col(AuditEvent.created_at) <= moment - RETENTION_WITHOUT_ORGANIZATION,
    ]
    has_ended = sa.or_(
        col(BrowserSession.expires_at) <= moment, col(BrowserSession.last_seen_at) <= moment - IDLE_TIMEOUT
    )
    conditions: list[tuple[type[SQLModel], sa.ColumnElement[bool]]] = [
        (AuditEvent, sa.and_(*of_nobody)),
        (AuditEvent, sa.and_(*forgotten)),
        (BrowserSession, has_ended),
        (PendingSignIn, col(PendingSignIn.expires_at) <= moment),
        (UsedChallenge, col(UsedChallenge.expires_at) <= moment),
        (MailedToken, col(MailedToken.expires_at) <= moment),
        (Invitation, col(Invitation.expires_at) <= moment - INVITATION_RETENTION),
        (SentLetter, col(SentLetter.created_at) <= moment - WINDOW),
        (Mail, col(Mail.created_at) <= moment - MAIL_RETENTION),
    ]
    return delete_chunks(session, conditions)


def delete_chunks(session: Session, conditions: Sequence[tuple[type[SQLModel], sa.ColumnElement[bool]]]) -> int:
    """Delete up to CHUNK_ROWS rows of each table that meet its condition, and return how many.

    Finding them may take long, so it does that before its turn to write. Call it before the first write.
    """
    deletions = []
    for table, condition in conditions:
        key = sa.inspect(table).primary_key
        if rows := session.execute(sa.select(*key).where(condition).limit(CHUNK_ROWS)).all():
            deletions.append(sa.delete(table).where(sa.tuple_(*key).in_(map(tuple, rows)), condition))
    if deletions and is_sqlite(session):  # with Postgres there are no turns, and a transaction that fails is repeated
        with paused(session):
            pass
    return sum(session.connection().execute(deletion).rowcount for deletion in deletions)


def keep_first(session: Session, table: type[SQLModel], keys: sa.Select[str], most: int) -> None:
    """Delete the rows of the table with these primary keys, except the first `most` of them. Rows that others have
    locked stay: somebody else deletes or uses them.
    """
    (key,) = sa.inspect(table).primary_key
    beyond = sa.select(key).where(key.in_(keys.offset(most)))  # to lock `keys` would lock those before the offset too
    if found := session.scalars(beyond.with_for_update(skip_locked=True)).all():
        session.execute(sa.delete(table).where(key.in_(found)))


def shorten_trail(session: Session, condition: sa.ColumnElement[bool]) -> None:
    """Delete these audit events except the newest, in turns, so that the rest fits into one transaction."""
    newest = sa.select(col(AuditEvent.id)).where(condition).order_by(col(AuditEvent.id).desc())
    last = session.scalar(newest.offset(EVENTS_AT_ONCE).limit(1))
    if last is not None:
        older = sa.and_(condition, col(AuditEvent.id) <= last)
        turns.repeat(session, lambda: delete_chunks(session, [(AuditEvent, older)]) > 0)
