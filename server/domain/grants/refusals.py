"""Refused codes and refresh tokens, and repeated ones: the reasons, and their events in the audit trail."""

from datetime import timedelta
from enum import StrEnum, auto

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit
from server.domain.audit import Event
from server.models import AuditEvent, AuthorizationCode, OAuthGrant, Project
from server.models.base import JSON, new_id, now

RECORDED_EVERY = timedelta(hours=1)
"""Within this time, the audit trail gets one event per target, client and reason, because clients may repeat requests
forever.
"""


class Refusal(StrEnum):
    """Why a code or refresh token was refused: for the log and the audit trail, not for the client."""

    UNKNOWN = auto()
    """It was never issued, or it was deleted: with its grant, after it expired, or as one of too many old ones."""
    OTHER_CLIENT = auto()
    """It was issued to another client."""
    WRONG_VERIFIER = auto()
    """A code whose challenge does not match the request's code_verifier."""
    WRONG_REDIRECT_URI = auto()
    """A code that went to another redirect URI than the one in the request."""
    EXPIRED = auto()
    ROLE_LOST = auto()
    """The user no longer has a role in the project."""
    ALREADY_USED = auto()
    """A code that was exchanged before."""
    TOO_OFTEN = auto()
    """A refresh token in its grace period that already has all its successors, or a family with too many tokens."""
    LATE = auto()
    """A refresh token that was exchanged before, used for the first time after its grace period."""
    REUSED = auto()
    """A refresh token that was used again after its grace period. The family ends."""
    GRANT_ENDED = auto()
    """The code or the grant was deleted while this exchange waited for its lock."""
    DISCARDED = auto()
    """Only the refresh token was deleted during that wait, because later ones were exchanged or it expired."""


def refuse_code(session: Session, code: AuthorizationCode, reason: Refusal) -> Refusal:
    """Record that this code was refused. Returns `reason`."""
    _record(session, Event.CODE_REFUSED, code, code.project_id, reason)
    return reason


def refuse_token(session: Session, grant: OAuthGrant, reason: Refusal) -> Refusal:
    """Record that a refresh token of this grant was refused. Returns `reason`."""
    _record(session, Event.TOKEN_REFUSED, grant, grant.id, reason)
    return reason


def refuse_late(session: Session, grant: OAuthGrant) -> Refusal:
    """Record the first use of a refresh token after its grace period, once for each token."""
    organization_id = session.execute(organization_of(grant.project_id)).scalar_one()
    details = {"client_id": grant.client_id, "reason": Refusal.LATE}
    audit.record(session, Event.TOKEN_REFUSED, grant.user_id, organization_id, grant.id, **details)
    return Refusal.LATE


def note_repetition(session: Session, grant: OAuthGrant) -> None:
    """Record that a refresh token got a second successor."""
    _record(session, Event.TOKEN_REPEATED, grant, grant.id)


def organization_of(project_id: str) -> sa.Select[str]:
    return sa.select(col(Project.organization_id)).where(col(Project.id) == project_id)


def _record(
    session: Session, event: Event, subject: AuthorizationCode | OAuthGrant, target: str, reason: Refusal | None = None
) -> None:
    """Write the event, unless the same one was written within `RECORDED_EVERY`."""
    organization_id = session.execute(organization_of(subject.project_id)).scalar_one()
    details: dict[str, JSON] = {"client_id": subject.client_id}
    if reason is not None:
        details["reason"] = reason
    same = sa.select(col(AuditEvent.id)).where(
        col(AuditEvent.organization_id) == organization_id,
        # Ids sort by time, and the index is on organization and id.
        col(AuditEvent.id) > new_id("evt_", at=now() - RECORDED_EVERY),
        col(AuditEvent.type) == event,
        col(AuditEvent.target) == target,
        *(col(AuditEvent.details)[name].as_string() == value for name, value in details.items()),
    )
    if session.execute(same.limit(1)).one_or_none() is None:
        audit.record(session, event, subject.user_id, organization_id, target, **details)
