"""Notifications in the dashboard: changes that others made to a person's access."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain.access import GOVERNING, require_session
from server.errors import NotFound
from server.models import Notification, Organization, OrganizationMember, Project, ProjectMember, ProjectRole, metadata
from server.models.base import JSON, now
from server.principal import Principal
from server.storage.statements import Query, count_rows

MOST_LISTED = 50
MOST_KEPT = 1_000
"""Maximum number of a person's notifications. The oldest are deleted, also unread ones."""


class Notice(StrEnum):
    INVITATION_RECEIVED = "invitation_received"
    INVITATION_ACCEPTED = "invitation_accepted"
    ROLE_CHANGED = "role_changed"
    REMOVED = "removed"
    MEMBER_LEFT = "member_left"
    OWNERSHIP_TRANSFERRED = "ownership_transferred"
    KEY_CREATED = "api_key_created"
    KEY_DELETED = "api_key_deleted"


def notify(
    session: Session,
    user_ids: Iterable[str],
    notice: Notice,
    title: str,
    message: str,
    *,
    topic: str | None = None,
    gathered: str | None = None,
    **details: JSON,
) -> None:
    """Notify each of these people once.

    A notice with a `topic` replaces the unread notice of the same topic, so that repeated actions cannot push other
    notices out of the list. Its message is then `gathered`, in which `%d` is the number of actions. `metadata.count` is
    the same number, and `metadata.actor_id` is the person who acted.
    """
    recipients = sorted(set(user_ids))
    counts = _take_unread(session, recipients, topic) if topic else {}
    notices = []
    for user_id in recipients:
        count = counts.get(user_id, 0) + 1
        text = gathered.replace("%d", str(count), 1) if gathered and count > 1 else message
        metadata = details | {"count": count} if gathered else details
        notices.append(
            {"user_id": user_id, "type": notice, "topic": topic, "title": title, "message": text, "details": metadata}
        )
    if notices:
        session.execute(sa.insert(Notification), notices)
        _FORGET.run(session, [{"user_id": user_id} for user_id in recipients])


def administrators_of(session: Session, project_id: str) -> list[str]:
    """Return the ids of the users who are admins of the project, by a role in it or in its organization."""
    organization_id = sa.select(col(Project.organization_id)).where(col(Project.id) == project_id).scalar_subquery()
    user_ids = sa.union(
        sa.select(col(ProjectMember.user_id)).where(
            col(ProjectMember.project_id) == project_id, col(ProjectMember.role) == ProjectRole.ADMIN
        ),
        sa.select(col(Organization.owner_id)).where(col(Organization.id) == organization_id),
        sa.select(col(OrganizationMember.user_id)).where(
            col(OrganizationMember.organization_id) == organization_id,
            col(OrganizationMember.role).in_(GOVERNING),
        ),
    )
    return list(session.execute(user_ids).scalars())


_notifications = metadata.tables["notifications"]
_newer = _notifications.alias()


def _id_at(position: int) -> sa.ScalarSelect[str]:
    """Return the id of the person's notification at this position, from the newest, which has 0."""
    newest_first = (
        sa.select(_newer.c.id).where(_newer.c.user_id == sa.bindparam("user_id")).order_by(_newer.c.id.desc())
    )
    return newest_first.offset(position).limit(1).scalar_subquery()


_FORGET = Query(
    sa.delete(_notifications).where(
        _notifications.c.user_id == sa.bindparam("user_id"),
        sa.or_(
            _notifications.c.read_at.is_not(None) & (_notifications.c.id < _id_at(MOST_LISTED - 1)),
            _notifications.c.id < _id_at(MOST_KEPT - 1),
        ),
    )
)
"""Deletes the read notifications of a person that are too old for the list, and the oldest of too many."""


def _take_unread(session: Session, user_ids: Sequence[str], topic: str) -> dict[str, int]:
    """Delete the unread notices of this topic. Return how many actions they counted, by user id."""
    session.flush()
    unread = sa.delete(Notification).where(
        col(Notification.topic) == topic,
        col(Notification.user_id).in_(user_ids),
        col(Notification.read_at).is_(None),
    )
    taken = session.execute(unread.returning(col(Notification.user_id), col(Notification.details))).all()
    return {user_id: int(details.get("count", 1)) for user_id, details in taken}


def list_notifications(
    session: Session, principal: Principal, *, with_own: bool = True
) -> tuple[list[Notification], int]:
    """Return the newest notifications, and the number of all unread ones. Raises Forbidden without a session.

    Without `with_own`, the principal's own actions are left out.
    """
    require_session(principal)
    query = select(Notification).where(*_of(principal, with_own))
    newest = session.exec(query.order_by(col(Notification.id).desc()).limit(MOST_LISTED)).all()
    return list(newest), count_unread(session, principal, with_own=with_own)


def list_from_others(session: Session, principal: Principal) -> tuple[list[Notification], int]:
    """Like `list_notifications`, without the principal's own actions."""
    return list_notifications(session, principal, with_own=False)


def count_unread(session: Session, principal: Principal, *, with_own: bool) -> int:
    return count_rows(session, Notification, *_of(principal, with_own), col(Notification.read_at).is_(None))


def _of(principal: Principal, with_own: bool) -> list[sa.ColumnElement[bool]]:
    matching = [col(Notification.user_id) == principal.user_id]
    if not with_own:
        actor = col(Notification.details)["actor_id"].as_string()
        matching.append(sa.or_(actor.is_(None), actor != principal.user_id))
    return matching


def mark_read(session: Session, principal: Principal, notification_id: str) -> int:
    """Mark a notification as read. Return 1 if it was unread, else 0. Raises NotFound for another user's."""
    require_session(principal)
    query = select(Notification).where(Notification.id == notification_id, Notification.user_id == principal.user_id)
    notification = session.exec(query).one_or_none()
    if notification is None:
        raise NotFound("Notification not found.")
    if notification.read_at is not None:
        return 0
    notification.read_at = now()
    return 1


def mark_all_read(session: Session, principal: Principal) -> int:
    """Mark all as read. Return how many were unread."""
    require_session(principal)
    unread = sa.update(Notification).where(
        col(Notification.user_id) == principal.user_id, col(Notification.read_at).is_(None)
    )
    marked = session.execute(unread.values(read_at=now()).returning(col(Notification.id))).all()
    return len(marked)
