"""The few projects and organizations in which a person may have a role, found by indexes.

`access` then checks the role. Without this module, the database would compute the role for every row of all tenants.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col

from server.models import Organization, OrganizationMember, Project, ProjectMember


def organizations_of(user_id: str, *membership: sa.ColumnElement[bool]) -> sa.CompoundSelect[str]:
    """Return the query for the ids of the organizations that the person owns, or belongs to with a membership that
    meets these conditions.
    """
    owned = sa.select(col(Organization.id)).where(col(Organization.owner_id) == user_id)
    joined = sa.select(col(OrganizationMember.organization_id))
    return sa.union(owned, joined.where(col(OrganizationMember.user_id) == user_id, *membership))


def projects_of(user_id: str, governing: Sequence[str]) -> sa.CompoundSelect[str]:
    """Return the query for the ids of the projects that the person joined, or governs by one of these roles."""
    governed = organizations_of(user_id, col(OrganizationMember.role).in_(governing))
    inside = sa.select(col(Project.id)).where(col(Project.organization_id).in_(governed))
    joined = sa.select(col(ProjectMember.project_id)).where(col(ProjectMember.user_id) == user_id)
    return sa.union(inside, joined)
