"""What a person is told in the dashboard about changes of rights that others made."""

from collections.abc import Iterable
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain.access import require_session
from server.errors import NotFound
from server.models import (
    Notification,
    Organization,
    OrganizationMember,
    OrganizationRole,
    Project,
    ProjectMember,
    ProjectRole,
)
from server.models.base import JSON, now
from server.principal import Principal

SHOWN = 50


class Notice(StrEnum):
    INVITATION_RECEIVED = "invitation_received"
    INVITATION_ACCEPTED = "invitation_accepted"
    ROLE_CHANGED = "role_changed"
    REMOVED = "removed"
    OWNERSHIP_TRANSFERRED = "ownership_transferred"
    KEY_CREATED = "api_key_created"
    KEY_DELETED = "api_key_deleted"


def notify(
    session: Session, user_ids: Iterable[str], notice: Notice, title: str, message: str, **details: JSON
) -> None:
    """Tell each of these people once."""
    for user_id in sorted(set(user_ids)):
        session.add(Notification(user_id=user_id, type=notice, title=title, message=message, details=details))


def list_project_admins(session: Session, project_id: str) -> list[str]:
    """The people who administer the project, by a role in it or in its organization."""
    place = sa.select(col(Project.organization_id)).where(col(Project.id) == project_id).scalar_subquery()
    everyone = sa.union(
        sa.select(col(ProjectMember.user_id)).where(
            col(ProjectMember.project_id) == project_id, col(ProjectMember.role) == ProjectRole.ADMIN
        ),
        sa.select(col(Organization.owner_id)).where(col(Organization.id) == place),
        sa.select(col(OrganizationMember.user_id)).where(
            col(OrganizationMember.organization_id) == place, col(OrganizationMember.role) == OrganizationRole.ADMIN
        ),
    )
    return list(session.execute(everyone).scalars())


def list_notifications(session: Session, principal: Principal) -> tuple[list[Notification], int]:
    """The newest and how many of all are unread. Sessions only."""
    require_session(principal)
    mine = select(Notification).where(Notification.user_id == principal.user_id)
    newest = session.exec(mine.order_by(col(Notification.id).desc()).limit(SHOWN)).all()
    return list(newest), count_unread(session, principal)


def count_unread(session: Session, principal: Principal) -> int:
    unread = sa.select(sa.func.count()).where(
        col(Notification.user_id) == principal.user_id, col(Notification.read_at).is_(None)
    )
    count: int = session.execute(unread).scalar_one()
    return count


def mark_read(session: Session, principal: Principal, notification_id: str) -> int:
    """How many of one were unread. Raises NotFound for what is not one's own."""
    require_session(principal)
    mine = select(Notification).where(Notification.id == notification_id, Notification.user_id == principal.user_id)
    found = session.exec(mine).one_or_none()
    if found is None:
        raise NotFound("Notification not found.")
    if found.read_at is not None:
        return 0
    found.read_at = now()
    return 1


def mark_all_read(session: Session, principal: Principal) -> int:
    """How many were unread."""
    require_session(principal)
    unread = sa.update(Notification).where(
        col(Notification.user_id) == principal.user_id, col(Notification.read_at).is_(None)
    )
    marked = session.execute(unread.values(read_at=now()).returning(col(Notification.id))).all()
    return len(marked)
