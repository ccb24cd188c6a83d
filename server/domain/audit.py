"""The audit trail: everything that changes rights, who did it and when."""

from enum import StrEnum

from sqlmodel import Session, col, select

from server.domain.access import Action, require_organization
from server.models import AuditEvent, Organization
from server.models.base import JSON
from server.models.organizations import OrganizationKind
from server.principal import Principal


class Event(StrEnum):
    SIGNED_UP = "account.signed_up"
    SIGNED_IN = "account.signed_in"
    SIGN_IN_FAILED = "account.sign_in_failed"
    SIGNED_OUT = "account.signed_out"
    EMAIL_VERIFIED = "account.email_verified"
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
    PROJECT_DELETED = "project.deleted"
    PROJECT_MEMBER_ADDED = "project_member.added"
    PROJECT_MEMBER_ROLE_CHANGED = "project_member.role_changed"
    PROJECT_MEMBER_REMOVED = "project_member.removed"
    PROJECT_MEMBER_LEFT = "project_member.left"
    KEY_CREATED = "api_key.created"
    KEY_DELETED = "api_key.deleted"
    CLIENT_REGISTERED = "client.registered"
    ACCESS_GRANTED = "access.granted"
    ACCESS_DENIED = "access.denied"
    ACCESS_DISCONNECTED = "access.disconnected"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event's name
    TOKEN_REUSED = "token.reused"  # noqa: S105 - an event's name
    TOKEN_REFUSED = "token.refused"  # noqa: S105 - an event's name
    CODE_REFUSED = "code.refused"


def record(
    session: Session, event: str, actor_id: str | None, organization_id: str | None, target: str = "", **details: JSON
) -> None:
    """Write one event; `target` is the id of what it was done to. No secrets, no addresses, no memory text."""
    row = AuditEvent(type=event, actor_id=actor_id, organization_id=organization_id, target=target, details=details)
    session.add(row)


def record_own(session: Session, event: str, user_id: str, target: str = "", **details: JSON) -> None:
    """Write an event of a person's own account, where that person can see it: in the personal organization."""
    personal = select(Organization.id).where(
        Organization.owner_id == user_id, Organization.kind == OrganizationKind.PERSONAL
    )
    record(session, event, user_id, session.exec(personal).one_or_none(), target, **details)


def list_events(
    session: Session, principal: Principal, organization_id: str, limit: int, before: str | None
) -> list[AuditEvent]:
    """Newest first, at most `limit`, those older than the event `before`. Raises NotFound, Forbidden."""
    require_organization(session, principal, organization_id, Action.SEE_AUDIT)
    query = select(AuditEvent).where(AuditEvent.organization_id == organization_id)
    if before is not None:
        query = query.where(col(AuditEvent.id) < before)
    return list(session.exec(query.order_by(col(AuditEvent.id).desc()).limit(limit)))
