"""What goes with a project, an organization, an account or a membership; counted for whoever asked for it."""

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
    """How much was deleted along with something."""

    projects: int = 0
    members: int = 0
    invitations: int = 0
    api_keys: int = 0
    grants: int = 0
    memories: int = 0


class RevokedAccess(NamedTuple):
    """How much of what a person had handed out has ended."""

    api_keys: int
    grants: int


def remove_projects(session: Session, project_ids: Sequence[str]) -> DeletedCounts:
    """Delete projects with all below them. `members` counts memberships, `invitations` the pending ones."""
    waiting = col(Invitation.status) == InvitationStatus.PENDING
    counts = DeletedCounts(
        projects=len(project_ids),
        members=_count(session, ProjectMember, col(ProjectMember.project_id).in_(project_ids)),
        invitations=_count(session, Invitation, col(Invitation.project_id).in_(project_ids) & waiting),
        api_keys=_count(session, ApiKey, col(ApiKey.project_id).in_(project_ids)),
        grants=_count(session, OAuthGrant, col(OAuthGrant.project_id).in_(project_ids)),
        memories=_count(session, Memory, col(Memory.project_id).in_(project_ids)),
    )
    outbox.projects_removed(session, project_ids)
    session.execute(sa.delete(Project).where(col(Project.id).in_(project_ids)))
    return counts


def remove_organization(session: Session, place: Organization) -> DeletedCounts:
    """Delete an organization with all below it. `members` counts its people, `invitations` the pending ones."""
    inside = sa.select(col(Project.id)).where(col(Project.organization_id) == place.id)
    waiting = col(Invitation.status) == InvitationStatus.PENDING
    people = _count(session, OrganizationMember, col(OrganizationMember.organization_id) == place.id) + 1
    invited = _count(session, Invitation, (col(Invitation.organization_id) == place.id) & waiting)
    counts = remove_projects(session, list(session.execute(inside).scalars()))
    session.execute(sa.delete(Organization).where(col(Organization.id) == place.id))
    return replace(counts, members=people, invitations=invited)


def revoke_access(session: Session, user_id: str, project_ids: Sequence[str] | None = None) -> RevokedAccess:
    """A person no longer reaches these projects (None: any): what was handed out there ends for good.

    Coming back must not wake an old key up.
    """
    lost = [col(ApiKey.created_by) == user_id]
    if project_ids is not None:
        lost.append(col(ApiKey.project_id).in_(project_ids))
    ended = session.execute(sa.delete(ApiKey).where(*lost).returning(col(ApiKey.id))).all()
    return RevokedAccess(len(ended), end_grants(session, user_id, project_ids))


def end_grants(session: Session, user_id: str, project_ids: Sequence[str] | None = None) -> int:
    """End what the person granted to OAuth clients, in these projects (None: all); how many grants."""
    theirs = col(OAuthGrant.user_id) == user_id
    if project_ids is not None:
        theirs &= col(OAuthGrant.project_id).in_(project_ids)
    count = _count(session, OAuthGrant, theirs)
    connections.end_grants(session, user_id, project_ids)
    return count


def _count(session: Session, table: type[SQLModel], condition: sa.ColumnElement[bool]) -> int:
    counted: int = session.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one()
    return counted
