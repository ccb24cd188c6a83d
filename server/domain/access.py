"""Who may do what, and whether it exists for them at all: the one home of permission.

Every load goes through what the principal can reach, so that the unseen answers as the nonexistent.
"""

from collections.abc import Iterable
from enum import StrEnum, auto

import sqlalchemy as sa
from sqlmodel import Session, col

from server.errors import Forbidden, Invalid, NotFound
from server.models import (
    Memory,
    Organization,
    OrganizationMember,
    OrganizationRole,
    Project,
    ProjectMember,
    ProjectRole,
)
from server.models.base import is_id
from server.principal import Principal, Scope


class Action(StrEnum):
    """What a role in an organization or a project may allow."""

    SEE = auto()
    LEAVE = auto()
    MANAGE_MEMBERS = auto()
    CREATE_PROJECT = auto()
    SEE_AUDIT = auto()
    OWN = auto()
    READ = auto()
    WRITE = auto()
    CREATE_READ_KEY = auto()
    CREATE_KEY = auto()
    DELETE_ANY_KEY = auto()
    DELETE_PROJECT = auto()


_MEMBER = frozenset({Action.SEE, Action.LEAVE})
_ADMIN = _MEMBER | {Action.MANAGE_MEMBERS, Action.CREATE_PROJECT, Action.SEE_AUDIT}
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
    ProjectRole.ADMIN: _EDITOR | {Action.MANAGE_MEMBERS, Action.DELETE_ANY_KEY, Action.DELETE_PROJECT},
}

SCOPE_OF = {Action.SEE: Scope.READ, Action.READ: Scope.READ, Action.WRITE: Scope.WRITE}
ACTION_OF = {Scope.READ: Action.READ, Scope.WRITE: Action.WRITE}
SESSION_ONLY = "This needs a signed-in session: an API key or access token cannot do it."


UserId = str | sa.SQLColumnExpression[str]


def organization_role_of(user_id: UserId) -> sa.Case[str | None]:
    """The user's role in the organization of the row at hand, as SQL; None when there is none."""
    member = (
        sa.select(col(OrganizationMember.role))
        .where(col(OrganizationMember.organization_id) == Organization.id, col(OrganizationMember.user_id) == user_id)
        .scalar_subquery()
    )
    return sa.case((col(Organization.owner_id) == user_id, OrganizationRole.OWNER.value), else_=member)


def project_role_of(user_id: UserId) -> sa.Case[str | None]:
    """The user's role in the project of the row at hand (joined with its organization), as SQL; None when none."""
    member = (
        sa.select(col(ProjectMember.role))
        .where(col(ProjectMember.project_id) == Project.id, col(ProjectMember.user_id) == user_id)
        .scalar_subquery()
    )
    governs = organization_role_of(user_id).in_([OrganizationRole.OWNER.value, OrganizationRole.ADMIN.value])
    return sa.case((governs, ProjectRole.ADMIN.value), else_=member)


def _projects_of(user_id: UserId) -> sa.Select[Project, str | None]:
    role = project_role_of(user_id)
    query = sa.select(Project, role.label("role")).join(Organization, col(Organization.id) == Project.organization_id)
    return query.where(role.is_not(None))


def _organizations_of(user_id: UserId) -> sa.Select[Organization, str | None]:
    role = organization_role_of(user_id)
    return sa.select(Organization, role.label("role")).where(role.is_not(None))


# Built once: putting such a statement together costs more than running it.
_USER = sa.bindparam("user_id", type_=sa.String)
_PROJECT = _projects_of(_USER).where(col(Project.id) == sa.bindparam("project_id"))
_ORGANIZATION = _organizations_of(_USER).where(col(Organization.id) == sa.bindparam("organization_id"))
_MEMORY = (
    sa.select(Memory, project_role_of(_USER).label("role"))
    .join(Project, col(Project.id) == Memory.project_id)
    .join(Organization, col(Organization.id) == Project.organization_id)
    .where(col(Memory.id) == sa.bindparam("memory_id"), project_role_of(_USER).is_not(None))
)


def reachable_projects(principal: Principal) -> sa.Select[Project, str | None]:
    """The only query that turns a principal into projects: (Project, role) rows."""
    query = _projects_of(principal.user_id)
    return query if principal.project_id is None else query.where(col(Project.id) == principal.project_id)


def reachable_organizations(principal: Principal) -> sa.Select[Organization, str | None]:
    """(Organization, role) rows of the user."""
    return _organizations_of(principal.user_id)


def require_project(session: Session, principal: Principal, project_id: str | None, action: Action) -> Project:
    """The project, if the principal reaches it and may do this there.

    Raises Invalid when a session names none, NotFound for one out of reach, Forbidden, InsufficientScope.
    """
    return require_project_role(session, principal, project_id, action)[0]


def require_project_role(
    session: Session, principal: Principal, project_id: str | None, action: Action
) -> tuple[Project, ProjectRole]:
    """As `require_project`, with the role that the principal has there."""
    wanted = project_id or principal.project_id
    if wanted is None:
        raise Invalid("name the project, since a session reaches several.", field="project_id")
    found = None
    if principal.project_id in (None, wanted):
        found = session.execute(_PROJECT, {"user_id": principal.user_id, "project_id": wanted}).one_or_none()
    if found is None:
        raise NotFound("Project not found.")
    role = ProjectRole(found.role)
    _allow(principal, action, PROJECT_ACTIONS[role], role)
    return found[0], role


def require_memory(session: Session, principal: Principal, memory_id: str, action: Action) -> Memory:
    """The memory as it is now, within what the principal reaches; to write, locked until the transaction ends.

    Raises NotFound, Forbidden, InsufficientScope.
    """
    query = _MEMORY if principal.project_id is None else _MEMORY.where(col(Memory.project_id) == principal.project_id)
    query = query.with_for_update(of=Memory) if action is Action.WRITE else query
    named = {"user_id": principal.user_id, "memory_id": memory_id}
    fresh = {"populate_existing": True}
    found = session.execute(query, named, execution_options=fresh).one_or_none() if is_id("mem_", memory_id) else None
    if found is None:
        raise NotFound("Memory not found.")
    role = ProjectRole(found.role)
    _allow(principal, action, PROJECT_ACTIONS[role], role)
    memory: Memory = found[0]
    return memory


def require_organization(
    session: Session, principal: Principal, organization_id: str, action: Action
) -> tuple[Organization, OrganizationRole]:
    """The organization and the principal's role in it. Raises NotFound, Forbidden; sessions only."""
    require_session(principal)
    named = {"user_id": principal.user_id, "organization_id": organization_id}
    found = session.execute(_ORGANIZATION, named).one_or_none()
    if found is None:
        raise NotFound("Organization not found.")
    role = OrganizationRole(found.role)
    _allow(principal, action, ORGANIZATION_ACTIONS[role], role)
    return found[0], role


def grantable(role: ProjectRole, scopes: Iterable[str]) -> list[str]:
    """What of the scopes somebody of this role has to give to an application."""
    return [scope for scope in scopes if ACTION_OF[Scope(scope)] in PROJECT_ACTIONS[role]]


def require_session(principal: Principal) -> None:
    """Raises Forbidden for an API key or access token."""
    if not principal.is_session:
        raise Forbidden(SESSION_ONLY)


def _allow(principal: Principal, action: Action, allowed: frozenset[Action], role: StrEnum) -> None:
    scope = SCOPE_OF.get(action)
    if scope is None:
        require_session(principal)
    else:
        principal.require(scope)
    if action not in allowed:
        raise Forbidden(f"Your role here ({role.value}) does not allow this.")
