"""Deletes everything that goes with a project, an organization or a membership, and counts it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.domain.grants import connections
from server.index import outbox
from server.models import (
    ApiKey,
    Invitation,
    Memory,
    OAuthGrant,
    Organization,
    OrganizationMember,
    Project,
    ProjectMember,
    User,
)
from server.models.invitations import InvitationStatus


@dataclass(frozen=True, slots=True)
class DeletedCounts:
    """How many rows of each kind were deleted."""

    projects: int = 0
    members: int = 0
    invitations: int = 0
    api_keys: int = 0
    grants: int = 0
    memories: int = 0


class RevokedAccess(NamedTuple):
    """How many of a user's API keys and grants were deleted."""

    api_keys: int
    grants: int


def remove_projects(session: Session, project_ids: Sequence[str]) -> DeletedCounts:
    """Delete the projects with everything in them.

    `members` counts memberships of the projects, `invitations` the pending ones.
    """
    is_pending = col(Invitation.status) == InvitationStatus.PENDING
    counts = DeletedCounts(
        projects=len(project_ids),
        members=_count(session, ProjectMember, col(ProjectMember.project_id).in_(project_ids)),
        invitations=_count(session, Invitation, col(Invitation.project_id).in_(project_ids) & is_pending),
        api_keys=_count(session, ApiKey, col(ApiKey.project_id).in_(project_ids)),
        grants=_count(session, OAuthGrant, col(OAuthGrant.project_id).in_(project_ids)),
        memories=_count(session, Memory, col(Memory.project_id).in_(project_ids)),
    )
    outbox.projects_removed(session, project_ids)
    session.execute(sa.delete(Project).where(col(Project.id).in_(project_ids)))
    return counts


def remove_organization(session: Session, organization: Organization) -> DeletedCounts:
    """Delete the organization with everything in it.

    `members` counts its people including the owner, `invitations` the pending ones.
    """
    is_inside = col(Project.organization_id) == organization.id
    is_pending = col(Invitation.status) == InvitationStatus.PENDING
    members = _count(session, OrganizationMember, col(OrganizationMember.organization_id) == organization.id)
    pending = _count(session, Invitation, (col(Invitation.organization_id) == organization.id) & is_pending)
    project_ids = list(session.execute(sa.select(col(Project.id)).where(is_inside)).scalars())
    counts = remove_projects(session, project_ids)
    session.execute(sa.delete(Organization).where(col(Organization.id) == organization.id))
    return replace(counts, members=members + 1, invitations=pending)


def revoke_access(session: Session, user_id: str, project_ids: Sequence[str] | None = None) -> RevokedAccess:
    """Delete the API keys and grants that the user created in these projects (None: all).

    They are deleted, so that rejoining does not revive them.
    """
    conditions = [col(ApiKey.created_by) == user_id]
    if project_ids is not None:
        conditions.append(col(ApiKey.project_id).in_(project_ids))
    deleted_keys = session.execute(sa.delete(ApiKey).where(*conditions).returning(col(ApiKey.id))).all()
    return RevokedAccess(len(deleted_keys), connections.end_grants(session, user_id, project_ids))


def remove_other_people(session: Session, owner: User) -> tuple[list[tuple[str, str]], RevokedAccess]:
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
    keys = sa.delete(ApiKey).where(col(ApiKey.project_id).in_(projects))
    deleted_keys = session.execute(keys.returning(col(ApiKey.id))).all()
    grants = connections.end_grants_in(session, projects)
    return [(row[0], row[1]) for row in removed], RevokedAccess(len(deleted_keys), grants)


def _count(session: Session, table: type[SQLModel], condition: sa.ColumnElement[bool]) -> int:
    count: int = session.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one()
    return count
