"""Permissions: the only place that decides who may do what.

Every query starts from what the principal can reach, so a row out of reach gets the same answer as a row that does not
exist.
"""

from collections.abc import Iterable
from enum import StrEnum, auto

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import candidates
from server.errors import Forbidden, Invalid, NotFound
from server.models import Memory, Organization, OrganizationMember, Project, ProjectMember
from server.models.base import Utc, is_id, now
from server.models.memories import is_live
from server.models.organizations import OrganizationRole
from server.models.projects import ProjectRole
from server.plurals import with_article
from server.principal import Principal, Scope
from server.storage.statements import Query, columns_of, detached


class Action(StrEnum):
    """The actions that a role in an organization or a project may allow."""

    SEE = auto()
    LEAVE = auto()
    MANAGE_MEMBERS = auto()
    CREATE_PROJECT = auto()
    SEE_AUDIT = auto()
    RENAME = auto()
    SET_TRASH_DAYS = auto()
    REVERT = auto()
    OWN = auto()
    READ = auto()
    WRITE = auto()
    CREATE_READ_KEY = auto()
    CREATE_KEY = auto()
    DELETE_ANY_KEY = auto()
    DELETE_PROJECT = auto()


_MEMBER = frozenset({Action.SEE, Action.LEAVE})
_ADMIN = _MEMBER | {Action.MANAGE_MEMBERS, Action.CREATE_PROJECT, Action.SEE_AUDIT, Action.RENAME}
ORGANIZATION_ACTIONS: dict[OrganizationRole, frozenset[Action]] = {
    OrganizationRole.MEMBER: _MEMBER,
    OrganizationRole.ADMIN: _ADMIN,
    OrganizationRole.OWNER: _ADMIN | {Action.OWN},
}

_VIEWER = frozenset({Action.SEE, Action.LEAVE, Action.READ, Action.CREATE_READ_KEY})
_EDITOR = _VIEWER | {Action.WRITE, Action.CREATE_KEY}
PROJECT_ACTIONS: dict[ProjectRole, frozenset[Action]] = {
    ProjectRole.VIEWER: _VIEWER,
    ProjectRole.EDITOR: _EDITOR,
    ProjectRole.ADMIN: _EDITOR
    | {Action.MANAGE_MEMBERS, Action.RENAME, Action.SET_TRASH_DAYS, Action.REVERT}
    | {Action.DELETE_ANY_KEY, Action.DELETE_PROJECT},
}

GOVERNING = frozenset({OrganizationRole.OWNER, OrganizationRole.ADMIN})
"""The roles in an organization that make a person an admin of all its projects."""

ORGANIZATION_PHRASES: dict[Action, str] = {
    Action.SEE: "see this organization",
    Action.LEAVE: "leave this organization",
    Action.MANAGE_MEMBERS: "invite or manage people in this organization",
    Action.CREATE_PROJECT: "create projects in this organization",
    Action.SEE_AUDIT: "see the audit trail of this organization",
    Action.RENAME: "rename this organization",
    Action.OWN: "transfer or delete this organization",
}
PROJECT_PHRASES: dict[Action, str] = {
    Action.SEE: "see this project",
    Action.LEAVE: "leave this project",
    Action.MANAGE_MEMBERS: "manage members of this project",
    Action.READ: "read in this project",
    Action.WRITE: "write in this project",
    Action.RENAME: "rename this project",
    Action.SET_TRASH_DAYS: "choose how long this project keeps deleted memories",
    Action.REVERT: "revert what somebody did in this project",
    Action.CREATE_READ_KEY: "create or list API keys in this project",
    Action.CREATE_KEY: "create an API key that can write in this project",
    Action.DELETE_ANY_KEY: "change or delete other people's API keys in this project",
    Action.DELETE_PROJECT: "delete this project",
}
"""How the sentence of a refusal names each action: `A viewer may not <phrase>.`"""

NO_MEMORY = "Memory not found."
SCOPE_OF = {Action.SEE: Scope.READ, Action.READ: Scope.READ, Action.WRITE: Scope.WRITE}
"""The scope that an API key or access token needs for an action. All other actions need a session."""
ACTION_OF = {Scope.READ: Action.READ, Scope.WRITE: Action.WRITE}
"""The action that a role must allow before its user can grant a scope. Every role has `SEE`."""

_OF_MEMORIES = frozenset({Action.READ, Action.WRITE})  # these actions leave the project's own row unchanged
SESSION_ONLY = "This needs a signed-in session: an API key or access token cannot do it."

Role = OrganizationRole | ProjectRole
UserId = str | sa.SQLColumnExpression[str]


def governs(role: str | None) -> bool:
    """Return whether this role in an organization makes its holder an admin of all the organization's projects."""
    return role in GOVERNING


def may_change(actor_role: OrganizationRole, target_role: str, *, is_self: bool) -> bool:
    """Return whether a person may change the role of a member of the organization, or remove that member.

    The owner cannot be changed. Admins may change members and themselves, but not other admins.
    """
    if target_role == OrganizationRole.OWNER:
        return False
    is_below = actor_role is OrganizationRole.ADMIN and target_role == OrganizationRole.MEMBER
    return is_self or is_below or actor_role is OrganizationRole.OWNER


def refusal(role: Role, action: Action) -> str:
    """Return the sentence that says which role does not allow which action."""
    phrases = ORGANIZATION_PHRASES if isinstance(role, OrganizationRole) else PROJECT_PHRASES
    return f"{with_article(role.value).capitalize()} may not {phrases[action]}."


def organization_role_of(user_id: UserId) -> sa.Case[str | None]:
    """Return an SQL expression: the user's role in the query's organization, or NULL."""
    member = (
        sa.select(col(OrganizationMember.role))
        .where(col(OrganizationMember.organization_id) == Organization.id, col(OrganizationMember.user_id) == user_id)
        .scalar_subquery()
    )
    return sa.case((col(Organization.owner_id) == user_id, OrganizationRole.OWNER.value), else_=member)


def project_role_of(user_id: UserId) -> sa.Case[str | None]:
    """Return an SQL expression: the user's role in the project of a query that joins its organization, or NULL."""
    member = (
        sa.select(col(ProjectMember.role))
        .where(col(ProjectMember.project_id) == Project.id, col(ProjectMember.user_id) == user_id)
        .scalar_subquery()
    )
    is_governing = organization_role_of(user_id).in_([sa.literal(role.value) for role in sorted(GOVERNING)])
    return sa.case((is_governing, ProjectRole.ADMIN.value), else_=member)


def _projects_of(user_id: UserId) -> sa.Select[Project, str | None]:
    role = project_role_of(user_id)
    query = sa.select(Project, role.label("role")).join(Organization, col(Organization.id) == Project.organization_id)
    return query.where(role.is_not(None))


def _organizations_of(user_id: UserId) -> sa.Select[Organization, str | None]:
    role = organization_role_of(user_id)
    return sa.select(Organization, role.label("role")).where(role.is_not(None))


# Built once, because building such a statement costs more than running it.
_USER = sa.bindparam("user_id", type_=sa.String)
_OWN = sa.bindparam("own", type_=sa.String)
"""The project of a key or token; NULL for a session."""

_PROJECT = _projects_of(_USER).where(col(Project.id) == sa.bindparam("project_id"))
_PROJECT_ROW = _PROJECT.with_only_columns(*columns_of(Project), project_role_of(_USER))
_READ_PROJECT = Query(_PROJECT_ROW)
_LOCKED_PROJECT = Query(_PROJECT_ROW.with_for_update(of=Project, read=True, key_share=True))
_ORGANIZATION = _organizations_of(_USER).where(col(Organization.id) == sa.bindparam("organization_id"))
_MEMORY = (
    sa.select(Memory, project_role_of(_USER).label("role"))
    .join(Project, col(Project.id) == Memory.project_id)
    .join(Organization, col(Organization.id) == Project.organization_id)
    .where(col(Memory.id) == sa.bindparam("memory_id"), project_role_of(_USER).is_not(None))
    .where(sa.or_(_OWN.is_(None), col(Memory.project_id) == _OWN), is_live(sa.bindparam("moment", type_=Utc)))
)
_LOCKED_MEMORY = _MEMORY.with_for_update(of=Memory).execution_options(populate_existing=True)
_READ_MEMORY = Query(_MEMORY.with_only_columns(*columns_of(Memory), project_role_of(_USER)))


def role_in(session: Session, user_id: str, project_id: str) -> ProjectRole | None:
    row = session.execute(_PROJECT, {"user_id": user_id, "project_id": project_id}).one_or_none()
    return None if row is None else ProjectRole(row.role)


def reachable_projects(principal: Principal) -> sa.Select[Project, str | None]:
    """Return the query for the projects that the principal can reach: (project, role) rows."""
    query, own = _projects_of(principal.user_id), principal.project_id
    near = candidates.projects_of(principal.user_id, [role.value for role in GOVERNING])
    return query.where(col(Project.id).in_(near) if own is None else col(Project.id) == own)


def reachable_organizations(principal: Principal) -> sa.Select[Organization, str | None]:
    """Return the query for the user's organizations: (organization, role) rows."""
    is_near = col(Organization.id).in_(candidates.organizations_of(principal.user_id))
    return _organizations_of(principal.user_id).where(is_near)


def require_project(
    session: Session, principal: Principal, project_id: str | None, action: Action, *, lock: bool = False
) -> Project:
    """Return the project, if the principal can reach it and may do the action in it.

    `project_id` None means the one project of a key or token. For `READ` and `WRITE`, it is detached from the session.
    With `lock`, it cannot be deleted before the commit. Raises Invalid when a session names no project, NotFound when
    the project is out of reach, Forbidden, InsufficientScope.
    """
    return require_project_role(session, principal, project_id, action, lock=lock)[0]


def require_project_role(
    session: Session, principal: Principal, project_id: str | None, action: Action, *, lock: bool = False
) -> tuple[Project, ProjectRole]:
    """Like `require_project`, but also return the principal's role in the project."""
    wanted_id = project_id or principal.project_id
    if wanted_id is None:
        raise Invalid("is required: a session can reach several projects.", field="project_id")
    row = None
    if principal.project_id in (None, wanted_id):
        parameters = {"user_id": principal.user_id, "project_id": wanted_id}
        if action in _OF_MEMORIES:
            row = (_LOCKED_PROJECT if lock else _READ_PROJECT).row(session, **parameters)
        else:
            row = session.execute(_PROJECT, parameters).one_or_none()
    if row is None:
        raise NotFound("Project not found.")
    role = ProjectRole(row[-1])
    _require_allowed(principal, role, action, PROJECT_ACTIONS[role])
    return detached(Project, row) if action in _OF_MEMORIES else row[0], role


def require_memory_of(session: Session, principal: Principal, memory_id: str, project_id: str) -> None:
    """Raises NotFound unless the memory is in the project, and the errors of `require_memory`."""
    if require_memory(session, principal, memory_id, Action.READ, lock=False).project_id != project_id:
        raise NotFound(NO_MEMORY)


def require_project_of(session: Session, principal: Principal, project_id: str | None, organization_id: str) -> None:
    """Raises NotFound unless the project belongs to the organization, and the errors of `require_project`."""
    if require_project(session, principal, project_id, Action.SEE).organization_id != organization_id:
        raise NotFound("Project not found.")


def require_memory(
    session: Session, principal: Principal, memory_id: str, action: Action, *, lock: bool = True
) -> Memory:
    """Return the current memory. For `WRITE` and with `lock`, also lock its row until the transaction ends.

    Without a lock it is detached. Raises NotFound when the memory is out of reach, Forbidden, InsufficientScope.
    """
    if not is_id("mem_", memory_id):
        raise NotFound(NO_MEMORY)
    wanted = {"memory_id": memory_id, "moment": now(), "user_id": principal.user_id, "own": principal.project_id}
    is_locked = lock and action is Action.WRITE
    row = session.execute(_LOCKED_MEMORY, wanted).one_or_none() if is_locked else _READ_MEMORY.row(session, **wanted)
    if row is None:
        raise NotFound(NO_MEMORY)
    role = ProjectRole(row[-1])
    _require_allowed(principal, role, action, PROJECT_ACTIONS[role])
    return row[0] if is_locked else detached(Memory, row)


def require_organization(
    session: Session, principal: Principal, organization_id: str, action: Action
) -> tuple[Organization, OrganizationRole]:
    """Return the organization and the principal's role in it.

    Raises NotFound when it is out of reach, Forbidden when the role does not allow the action or for a key or token.
    """
    require_session(principal)
    parameters = {"user_id": principal.user_id, "organization_id": organization_id}
    row = session.execute(_ORGANIZATION, parameters).one_or_none()
    if row is None:
        raise NotFound("Organization not found.")
    role = OrganizationRole(row.role)
    _require_allowed(principal, role, action, ORGANIZATION_ACTIONS[role])
    return row[0], role


def grantable(role: ProjectRole, scopes: Iterable[str]) -> list[str]:
    """Return the subset of `scopes` that a user with this role can grant to an application."""
    return [scope for scope in scopes if ACTION_OF[Scope(scope)] in PROJECT_ACTIONS[role]]


def require_session(principal: Principal) -> None:
    """Raises Forbidden for an API key or access token."""
    if not principal.is_session:
        raise Forbidden(SESSION_ONLY)


def _require_allowed(principal: Principal, role: Role, action: Action, allowed: frozenset[Action]) -> None:
    """Raises Forbidden, InsufficientScope."""
    if scope := SCOPE_OF.get(action):
        principal.require(scope)
    else:
        require_session(principal)
    if action not in allowed:
        raise Forbidden(refusal(role, action))
