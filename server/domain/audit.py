"""The audit trail: who changed which rights, and when."""

import logging
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from functools import partial

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain.access import Action, require_organization, require_session
from server.domain.client_names import shown_name
from server.logs import client_address
from server.models import ApiKey, AuditEvent, Invitation, OAuthClient, Project
from server.models.base import JSON
from server.principal import Principal

log = logging.getLogger(__name__)


class Event(StrEnum):
    SIGNED_UP = "account.signed_up"
    SIGNED_IN = "account.signed_in"
    SIGN_IN_FAILED = "account.sign_in_failed"
    SIGNED_OUT = "account.signed_out"
    EMAIL_VERIFIED = "account.email_verified"
    EMAIL_CHANGE_REQUESTED = "account.email_change_requested"
    EMAIL_CHANGED = "account.email_changed"
    PASSWORD_CHANGED = "account.password_changed"  # noqa: S105 - an event's name
    PASSWORD_RESET = "account.password_reset"  # noqa: S105 - an event's name
    SESSION_REVOKED = "account.session_revoked"
    PASSKEY_ADDED = "account.passkey_added"
    PASSKEY_REMOVED = "account.passkey_removed"
    IDENTITY_JOINED = "account.identity_joined"
    SECOND_FACTOR_ADDED = "account.second_factor_added"
    SECOND_FACTOR_REMOVED = "account.second_factor_removed"
    SECOND_FACTOR_FAILED = "account.second_factor_failed"
    RECOVERY_CODES_RENEWED = "account.recovery_codes_renewed"
    STEP_UP_FAILED = "account.step_up_failed"
    RECOVERY_CODE_USED = "account.recovery_code_used"
    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_RENAMED = "organization.renamed"
    ORGANIZATION_DELETED = "organization.deleted"
    OWNERSHIP_TRANSFERRED = "organization.ownership_transferred"
    MEMBER_JOINED = "member.joined"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    MEMBER_LEFT = "member.left"
    INVITATION_SENT = "invitation.sent"
    INVITATION_CANCELLED = "invitation.cancelled"
    INVITATION_ACCEPTED = "invitation.accepted"
    INVITATION_DECLINED = "invitation.declined"
    PROJECT_CREATED = "project.created"
    PROJECT_RENAMED = "project.renamed"
    PROJECT_DELETED = "project.deleted"
    PROJECT_MEMBER_ADDED = "project_member.added"
    PROJECT_MEMBER_ROLE_CHANGED = "project_member.role_changed"
    PROJECT_MEMBER_REMOVED = "project_member.removed"
    PROJECT_MEMBER_LEFT = "project_member.left"
    KEY_CREATED = "api_key.created"
    KEY_RENAMED = "api_key.renamed"
    KEY_DELETED = "api_key.deleted"
    CLIENT_REGISTERED = "client.registered"
    ACCESS_GRANTED = "access.granted"
    ACCESS_DENIED = "access.denied"
    ACCESS_DISCONNECTED = "access.disconnected"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    TOKEN_REUSED = "token.reused"  # noqa: S105 - an event's name
    TOKEN_REPEATED = "token.repeated"  # noqa: S105 - an event's name
    TOKEN_REFUSED = "token.refused"  # noqa: S105 - an event's name
    CODE_REFUSED = "code.refused"
    MEMORIES_DELETED = "memories.deleted"
    MEMORIES_EXPORTED = "memories.exported"
    MEMORIES_IMPORTED = "memories.imported"


RETENTION = timedelta(days=400)
"""How long to keep an event."""

RETENTION_WITHOUT_ORGANIZATION = timedelta(days=30)
"""How long to keep an event that belongs to no organization and no user, such as a failed sign-in to an unknown
address.
"""

REFERENCES = ("project_id", "client_id")
"""The details of events that hold the id of something."""


def record(
    session: Session, event: str, actor_id: str | None, organization_id: str | None, target: str = "", **details: JSON
) -> None:
    """Record an event. `target` is the id of what was changed. Never pass secrets, addresses or memory text."""
    row = AuditEvent(type=event, actor_id=actor_id, organization_id=organization_id, target=target, details=details)
    session.add(row)


def record_account_event(session: Session, event: str, user_id: str, target: str = "", **details: JSON) -> None:
    """Record an event of the user's account that only the user can see. After the commit, log it for those who run the
    server.
    """
    session.add(AuditEvent(type=event, actor_id=user_id, user_id=user_id, target=target, details=details))
    log_it = partial(log_account_event, event, user_id=user_id, **details)
    sa.event.listen(session, "after_commit", lambda _session: log_it(), once=True)


def log_account_event(event: str, **fields: JSON) -> None:
    """Log an event of an account with the address that it came from. Commands, which have none, say what they did."""
    if address := client_address.get():
        log.info(event, extra=fields | {"address": address})


def record_memories(
    session: Session, event: Event, principal: Principal | None, project: Project, count: int, **details: JSON
) -> None:
    """Record that a project's memories were imported, exported or deleted in bulk, and with which credential.
    `principal` is None for the command line.
    """
    details |= {"count": count, "credential": "command"}
    if principal is not None:
        details |= {"credential": principal.kind, "credential_id": principal.credential_id}
        if not principal.is_session:  # a key or application, whose name is lost when it is deleted
            details["credential_name"] = principal.credential_name
    actor_id = principal.user_id if principal else None
    record(session, event, actor_id, project.organization_id, project.id, **details)


def list_events(
    session: Session, principal: Principal, organization_id: str, limit: int, before: str | None
) -> list[AuditEvent]:
    """Return at most `limit` events, newest first; with `before` (an event id), only older ones.

    Raises NotFound, Forbidden.
    """
    require_organization(session, principal, organization_id, Action.SEE_AUDIT)
    return _newest(session, col(AuditEvent.organization_id) == organization_id, limit, before)


def names_of_targets(
    session: Session, principal: Principal, organization_id: str, events: Iterable[AuditEvent]
) -> dict[str, str]:
    """Return the names of the keys, projects and apps in the organization's events, and the addresses of invitations,
    by id. What no longer exists has no name. Raises NotFound, Forbidden.
    """
    require_organization(session, principal, organization_id, Action.SEE_AUDIT)
    ids = {str(one) for event in events for one in (event.target, *map(event.details.get, REFERENCES)) if one}
    named = ((ApiKey.id, ApiKey.name), (Project.id, Project.name), (Invitation.id, Invitation.email))
    rows = [session.execute(sa.select(col(key), col(name)).where(col(key).in_(ids))).all() for key, name in named]
    clients = session.scalars(sa.select(OAuthClient).where(col(OAuthClient.id).in_(ids)))
    return {key: name for found in rows for key, name in found} | {one.id: shown_name(one) for one in clients}


def list_own(session: Session, principal: Principal, limit: int, before: str | None) -> list[AuditEvent]:
    """Like `list_events`, for the principal's own account. Raises Forbidden for a key or token."""
    require_session(principal)
    return _newest(session, col(AuditEvent.user_id) == principal.user_id, limit, before)


def _newest(session: Session, condition: sa.ColumnElement[bool], limit: int, before: str | None) -> list[AuditEvent]:
    query = select(AuditEvent).where(condition)
    if before is not None:
        query = query.where(col(AuditEvent.id) < before)
    return list(session.exec(query.order_by(col(AuditEvent.id).desc()).limit(limit)))
