"""API keys: each belongs to one project and is stored as a hash, so it is shown only when it is created."""

from datetime import timedelta
from typing import NamedTuple

from sqlmodel import Session, col, select

from server.domain import audit, names, notifications
from server.domain.access import PROJECT_ACTIONS, Action, refusal, require_project_role
from server.domain.audit import Event
from server.domain.locks import lock_organization_of
from server.domain.notifications import Notice
from server.errors import Conflict, Forbidden, Invalid, NotFound
from server.hashing import API_KEY_PREFIX, new_api_key, token_hash
from server.models import ApiKey, Project, User
from server.models.base import JSON, now
from server.principal import Principal
from server.storage.statements import count_rows

PERMISSIONS = ("read", "write")
NAME_LENGTH = 100
LONGEST_DAYS = 3650
MAX_PER_PERSON = 50
"""Maximum number of a person's keys in one project, including expired ones."""

PREFIX_LENGTH = len(API_KEY_PREFIX) + 4
"""How many characters from the start of a key are stored, so that people can recognize it."""


class TooManyKeys(Conflict):
    def __init__(self) -> None:
        super().__init__(f"You have {MAX_PER_PERSON} API keys in this project, which is the limit: delete one first.")


class NewKey(NamedTuple):
    """The properties of a new key. It never expires if `expires_in_days` is None."""

    name: str
    permissions: list[str]
    expires_in_days: int | None = None


def issue(session: Session, project: Project, user_id: str, new: NewKey) -> tuple[ApiKey, str]:
    """Return the new row and the key in full, without asking permission. Raises Invalid, TooManyKeys."""
    if not new.permissions or set(new.permissions) - set(PERMISSIONS):
        raise Invalid("use read, write or both.", field="permissions")
    days = new.expires_in_days
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise Invalid(f"use 1 to {LONGEST_DAYS}.", field="expires_in_days")
    name = names.parse_line(new.name, NAME_LENGTH)
    _require_room(session, project, user_id)
    key = new_api_key()
    moment = now()
    row = ApiKey(
        project_id=project.id,
        created_by=user_id,
        name=name,
        prefix=key[:PREFIX_LENGTH],
        token_hash=token_hash(key),
        permissions=[permission for permission in PERMISSIONS if permission in new.permissions],
        created_at=moment,
        expires_at=moment + timedelta(days=days) if days else None,
    )
    session.add(row)
    return row, key


def create(session: Session, principal: Principal, project_id: str, new: NewKey) -> tuple[ApiKey, str]:
    """Create a key for the principal, with at most the permissions of the principal's role.

    Returns the row and the key in full. Raises Invalid, NotFound, Forbidden, TooManyKeys.
    """
    lock_organization_of(session, project_id)
    action = Action.CREATE_KEY if "write" in new.permissions else Action.CREATE_READ_KEY
    project, _ = require_project_role(session, principal, project_id, action)
    row, key = issue(session, project, principal.user_id, new)
    announce(session, project, row, principal.user_id)
    return row, key


def announce(session: Session, project: Project, row: ApiKey, actor_id: str | None) -> None:
    """Record the new key and notify the project's administrators. `actor_id` is None for the command line."""
    _record(session, Event.KEY_CREATED, actor_id, project, row, permissions=row.permissions)
    _notify(session, project, row, Notice.KEY_CREATED, "created", actor_id)


def list_keys(session: Session, principal: Principal, project_id: str) -> list[ApiKey]:
    """Return the project's keys, newest first. A role that may not create writing keys sees only the principal's own.

    Raises NotFound.
    """
    project, role = require_project_role(session, principal, project_id, Action.CREATE_READ_KEY)
    query = select(ApiKey).where(ApiKey.project_id == project.id)
    if Action.CREATE_KEY not in PROJECT_ACTIONS[role]:
        query = query.where(ApiKey.created_by == principal.user_id)
    return list(session.exec(query.order_by(col(ApiKey.id).desc())))


def rename(session: Session, principal: Principal, project_id: str, key_id: str, name: str) -> ApiKey:
    """Rename the principal's own key or, for an admin, any key. Raises Invalid, NotFound, Forbidden."""
    project, key = _require_key(session, principal, project_id, key_id)
    key.name = names.parse_line(name, NAME_LENGTH)
    _record(session, Event.KEY_RENAMED, principal.user_id, project, key)
    return key


def delete(session: Session, principal: Principal, project_id: str, key_id: str) -> ApiKey:
    """Delete the principal's own key or, for an admin, any key. Raises NotFound, Forbidden."""
    project, key = _require_key(session, principal, project_id, key_id)
    session.delete(key)
    _record(session, Event.KEY_DELETED, principal.user_id, project, key)
    _notify(session, project, key, Notice.KEY_DELETED, "deleted", principal.user_id)
    return key


def replace(session: Session, principal: Principal, project_id: str, key_id: str) -> tuple[ApiKey, str]:
    """Delete the key and create one of the principal's with the same name, permissions and expiry.

    Returns the new row and the new key in full. Raises the errors of `create` and `delete`, and Conflict for an expired
    key.
    """
    old = delete(session, principal, project_id, key_id)
    if old.is_expired:
        raise Conflict("This API key has expired. Create a new one.")
    row, key = create(session, principal, project_id, NewKey(old.name, old.permissions))
    row.expires_at = old.expires_at
    return row, key


def _require_key(session: Session, principal: Principal, project_id: str, key_id: str) -> tuple[Project, ApiKey]:
    """Return a key that the principal may change or delete, and its project. Raises NotFound, Forbidden."""
    lock_organization_of(session, project_id)
    project, role = require_project_role(session, principal, project_id, Action.CREATE_READ_KEY)
    key = session.exec(select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project.id)).one_or_none()
    if key is None:
        raise NotFound("API key not found.")
    if key.created_by != principal.user_id:
        if Action.CREATE_KEY not in PROJECT_ACTIONS[role]:  # the role cannot see other people's keys
            raise NotFound("API key not found.")
        if Action.DELETE_ANY_KEY not in PROJECT_ACTIONS[role]:
            raise Forbidden(refusal(role, Action.DELETE_ANY_KEY))
    return project, key


def _require_room(session: Session, project: Project, user_id: str) -> None:
    """Raises TooManyKeys."""
    own = (col(ApiKey.project_id) == project.id, col(ApiKey.created_by) == user_id)
    if count_rows(session, ApiKey, *own) >= MAX_PER_PERSON:
        raise TooManyKeys


def _record(
    session: Session, event: Event, actor_id: str | None, project: Project, key: ApiKey, **details: JSON
) -> None:
    """Record the event with the key's name, which nothing else tells once the key is deleted."""
    details |= {"project_id": project.id, "name": key.name, "prefix": key.prefix}
    audit.record(session, event, actor_id, project.organization_id, key.id, **details)


def _notify(session: Session, project: Project, key: ApiKey, notice: Notice, verb: str, actor_id: str | None) -> None:
    """Notify all administrators of the project, including the person who acts, and the owner of the key if somebody
    else acts.
    """
    actor = session.get(User, actor_id) if actor_id else None
    by = f"by {actor.name}" if actor else "on the command line"
    owner = [key.created_by] if key.created_by != actor_id else []
    notifications.notify(
        session, notifications.administrators_of(session, project.id) + owner, notice, f"API key {verb}",
        f"The API key “{key.name}” was {verb} in the project “{project.name}”.",
        topic=f"{notice}:{project.id}:{actor_id}",
        gathered=f"%d API keys were {verb} in the project “{project.name}” {by}. The last one was “{key.name}”.",
        project_id=project.id, api_key_id=key.id, prefix=key.prefix, **({"actor_id": actor_id} if actor_id else {}),
    )  # fmt: skip
