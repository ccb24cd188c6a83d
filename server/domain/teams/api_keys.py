"""API keys: made for one project, shown once, found by their hash."""

from datetime import timedelta
from typing import NamedTuple

from sqlmodel import Session, col, select

from server.domain import audit, names, notifications
from server.domain.access import PROJECT_ACTIONS, Action, require_project_role
from server.domain.audit import Event
from server.domain.locks import lock_organization_of
from server.domain.notifications import Notice
from server.errors import Forbidden, Invalid, NotFound
from server.hashing import API_KEY_PREFIX, new_api_key, token_hash
from server.models import ApiKey, Project
from server.models.base import now
from server.principal import Principal

PERMISSIONS = ("read", "write")
LONGEST_DAYS = 3650
SHOWN = len(API_KEY_PREFIX) + 4


class NewKey(NamedTuple):
    """What is asked for."""

    name: str
    permissions: list[str]
    expires_in_days: int | None


def issue(
    session: Session, project: Project, user_id: str, name: str, permissions: list[str], expires_in_days: int | None
) -> tuple[ApiKey, str]:
    """The row and the key itself, which nobody can show again. Raises Invalid."""
    if not permissions or set(permissions) - set(PERMISSIONS):
        raise Invalid("use read, write or both.", field="permissions")
    if expires_in_days is not None and not 1 <= expires_in_days <= LONGEST_DAYS:
        raise Invalid(f"use 1 to {LONGEST_DAYS}.", field="expires_in_days")
    if not 1 <= len(name.strip()) <= 100 or not names.is_one_line(name.strip()):
        raise Invalid("use 1 to 100 characters on one line.", field="name")
    key = new_api_key()
    moment = now()
    row = ApiKey(
        project_id=project.id,
        created_by=user_id,
        name=name.strip(),
        prefix=key[:SHOWN],
        token_hash=token_hash(key),
        permissions=[permission for permission in PERMISSIONS if permission in permissions],
        created_at=moment,
        expires_at=moment + timedelta(days=expires_in_days) if expires_in_days else None,
    )
    session.add(row)
    return row, key


def create(session: Session, principal: Principal, project_id: str, new: NewKey) -> tuple[ApiKey, str]:
    """A key of one's own, with no more rights than one's role has. Raises Invalid, NotFound, Forbidden."""
    lock_organization_of(session, project_id)
    needed = Action.CREATE_KEY if "write" in new.permissions else Action.CREATE_READ_KEY
    project, _ = require_project_role(session, principal, project_id, needed)
    row, key = issue(session, project, principal.user_id, new.name, new.permissions, new.expires_in_days)
    announce(session, project, row, principal.user_id)
    return row, key


def announce(session: Session, project: Project, row: ApiKey, actor_id: str | None) -> None:
    """A new key is written down, and told to whoever administers the project; no actor is the command line."""
    audit.record(
        session, Event.KEY_CREATED, actor_id, project.organization_id, row.id,
        project_id=project.id, permissions=row.permissions,
    )  # fmt: skip
    _tell(session, project, row, Notice.KEY_CREATED, "made")


def list_keys(session: Session, principal: Principal, project_id: str) -> list[ApiKey]:
    """The newest first: all keys of the project, or one's own where the role allows no more. Raises NotFound."""
    project, role = require_project_role(session, principal, project_id, Action.CREATE_READ_KEY)
    query = select(ApiKey).where(ApiKey.project_id == project.id)
    if Action.CREATE_KEY not in PROJECT_ACTIONS[role]:
        query = query.where(ApiKey.created_by == principal.user_id)
    return list(session.exec(query.order_by(col(ApiKey.id).desc())))


def delete(session: Session, principal: Principal, project_id: str, key_id: str) -> ApiKey:
    """End a key: one's own, or any as an admin. Raises NotFound, Forbidden."""
    lock_organization_of(session, project_id)
    project, role = require_project_role(session, principal, project_id, Action.CREATE_READ_KEY)
    found = session.exec(select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project.id)).one_or_none()
    is_own = found is not None and found.created_by == principal.user_id
    if found is None or not (is_own or Action.CREATE_KEY in PROJECT_ACTIONS[role]):
        raise NotFound("API key not found.")
    if not (is_own or Action.DELETE_ANY_KEY in PROJECT_ACTIONS[role]):
        raise Forbidden("Only its creator or an admin may delete a key.")
    session.delete(found)
    about = {"project_id": project.id}
    audit.record(session, Event.KEY_DELETED, principal.user_id, project.organization_id, found.id, **about)
    _tell(session, project, found, Notice.KEY_DELETED, "deleted")
    return found


def _tell(session: Session, project: Project, key: ApiKey, notice: Notice, verb: str) -> None:
    """Everybody who administers the project, whoever it was."""
    told = {"project_id": project.id, "api_key_id": key.id, "prefix": key.prefix}
    message = f"The API key {key.name} of {project.name} was {verb}."
    people = notifications.list_project_admins(session, project.id)
    notifications.notify(session, people, notice, f"API key {verb}", message, **told)
