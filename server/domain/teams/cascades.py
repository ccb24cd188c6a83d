"""Deletes everything that goes with a project, an organization or a membership, and counts it. When the deletion
commits, a project leaves its organization, so nobody can reach it any longer. Its content can take minutes to delete,
so `server.index.upkeep.removal` does that afterwards, in small transactions.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.domain import names, notifications
from server.domain.memory import expiry
from server.domain.notifications import Notice
from server.models import (
    ApiKey,
    AuthorizationCode,
    Invitation,
    InvitationProject,
    OAuthGrant,
    Organization,
    OrganizationMember,
    Project,
    ProjectIndex,
    ProjectLanguages,
    ProjectMember,
    User,
)
from server.models.invitations import InvitationStatus
from server.storage.statements import count_rows


@dataclass(frozen=True, slots=True)
class DeletedCounts:
    projects: int = 0
    members: int = 0
    invitations: int = 0
    api_keys: int = 0
    grants: int = 0
    memories: int = 0


_DELETED = {
    "organization_id": None, "name": "", "name_key": "", "memory_count": 0, "memory_bytes": 0, "piece_count": 0,
}  # fmt: skip
"""The columns of a deleted project: nobody can reach it, its name is free, and none of its memories count."""

_NOT_IN_SESSION = {"synchronize_session": False}

ProjectIds = Collection[str] | sa.Select[str]
"""A few projects, or the query for any number of them."""

_Id = sa.SQLColumnExpression[str]


def remove_projects(session: Session, matching: sa.ColumnElement[bool]) -> DeletedCounts:
    """Delete the matching projects with everything in them.

    `members` counts memberships of the projects, `invitations` the pending ones, `memories` those that are not expired.
    """
    project_ids = sa.select(col(Project.id)).where(matching)
    session.execute(project_ids.order_by(col(Project.id)).with_for_update())
    totals = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(col(Project.memory_count)), 0)).where(matching)
    projects, memories = session.execute(totals).one()
    expired = sum(expiry.expired_by_project(session, project_ids).values())
    is_pending = col(Invitation.status) == InvitationStatus.PENDING
    invitations = count_rows(session, Invitation, col(Invitation.project_id).in_(project_ids) & is_pending)
    revoked = _revoke(session, lambda _owner_id, project_id: project_id.in_(project_ids))
    deleted = {
        table: _delete(session, table, col(table.project_id).in_(project_ids))
        for table in (ProjectMember, InvitationProject, Invitation, ProjectIndex, ProjectLanguages)
    }
    session.execute(sa.update(Project).where(matching).values(_DELETED), execution_options=_NOT_IN_SESSION)
    return DeletedCounts(
        projects=projects,
        members=deleted[ProjectMember],
        invitations=invitations,
        api_keys=revoked.api_keys,
        grants=revoked.grants,
        memories=int(memories) - expired,
    )


def remove_organization(session: Session, organization: Organization) -> DeletedCounts:
    """Delete the organization with everything in it, and notify its members.

    `members` counts its people including the owner, `invitations` the pending ones.
    """
    is_pending = col(Invitation.status) == InvitationStatus.PENDING
    of_organization = col(OrganizationMember.organization_id) == organization.id
    members = session.scalars(sa.select(col(OrganizationMember.user_id)).where(of_organization)).all()
    name = names.title_for_others(organization, session.get_one(User, organization.owner_id).name)
    pending = count_rows(session, Invitation, (col(Invitation.organization_id) == organization.id) & is_pending)
    counts = remove_projects(session, col(Project.organization_id) == organization.id)
    session.execute(sa.delete(Organization).where(col(Organization.id) == organization.id))
    message = f"The owner deleted the organization “{name}” and all its projects."
    notifications.notify(
        session, members, Notice.REMOVED, f"{name} was deleted", message, actor_id=organization.owner_id
    )
    return replace(counts, members=len(members) + 1, invitations=pending)


def revoke_access(session: Session, user_id: str, project_ids: ProjectIds | None = None) -> DeletedCounts:
    """Delete the API keys and grants that the user created in these projects (None: all).

    They are deleted, so that rejoining does not revive them.
    """
    if project_ids is None:
        return _revoke(session, lambda owner_id, _project_id: owner_id == user_id)
    return _revoke(session, lambda owner_id, project_id: (owner_id == user_id) & project_id.in_(project_ids))


def remove_other_people(session: Session, owner: User) -> tuple[list[tuple[str, str]], DeletedCounts]:
    """Remove all other people from the organizations that the user owns, and delete all keys and grants there.

    Return (organization id, user id) of each former member, and how many keys and grants were deleted, including the
    owner's.
    """
    owned = sa.select(col(Organization.id)).where(col(Organization.owner_id) == owner.id)
    projects = sa.select(col(Project.id)).where(col(Project.organization_id).in_(owned))
    members = sa.delete(OrganizationMember).where(col(OrganizationMember.organization_id).in_(owned))
    removed = session.execute(
        members.returning(col(OrganizationMember.organization_id), col(OrganizationMember.user_id))
    ).all()
    session.execute(
        sa.delete(ProjectMember).where(
            col(ProjectMember.project_id).in_(projects), col(ProjectMember.user_id) != owner.id
        )
    )
    revoked = _revoke(session, lambda _owner_id, project_id: project_id.in_(projects))
    return [(row[0], row[1]) for row in removed], revoked


def _revoke(session: Session, matching: Callable[[_Id, _Id], sa.ColumnElement[bool]]) -> DeletedCounts:
    """Delete the API keys, grants and codes whose user and project match."""
    api_keys = _delete(session, ApiKey, matching(col(ApiKey.created_by), col(ApiKey.project_id)))
    _delete(session, AuthorizationCode, matching(col(AuthorizationCode.user_id), col(AuthorizationCode.project_id)))
    grants = _delete(session, OAuthGrant, matching(col(OAuthGrant.user_id), col(OAuthGrant.project_id)))
    return DeletedCounts(api_keys=api_keys, grants=grants)


def _delete(session: Session, table: type[SQLModel], condition: sa.ColumnElement[bool]) -> int:
    return session.connection().execute(sa.delete(table).where(condition)).rowcount
