"""What is deleted together with a project, an organization or a membership, and how much of it."""

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


def _count(session: Session, table: type[SQLModel], condition: sa.ColumnElement[bool]) -> int:
    count: int = session.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one()
    return count
