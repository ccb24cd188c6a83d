"""Invitations to an organization or a project, by e-mail address."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, new_id, now, one_of, reference
from server.models.organizations import OrganizationRole
from server.models.projects import ProjectRole


class InvitationStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    CANCELLED = "cancelled"


def _pending(name: str, *columns: str, also: str) -> sa.Index:
    """One pending invitation an address; two indexes, since SQL holds two NULLs for different."""
    where = sa.text(f"status = 'pending' AND {also}")
    return sa.Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


class Invitation(SQLModel, table=True):
    """`project_id` is set for an invitation to one project, which brings no role in the organization above member.

    Two secrets open it. The inviter sees the token of `token_hash`. The token of `mailed_token_hash` stands only in the
    letter, so it proves the mailbox; None when no letter was sent.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        one_of("status", "status", InvitationStatus),
        sa.CheckConstraint("role IN ('admin', 'member')", name="role"),
        _pending("uq_invitations_pending_organization", "organization_id", "email", also="project_id IS NULL"),
        _pending("uq_invitations_pending_project", "project_id", "email", also="project_id IS NOT NULL"),
        sa.Index("uq_invitations_mailed_token_hash", "mailed_token_hash", unique=True),
    )

    id: str = Field(default_factory=lambda: new_id("inv_"), primary_key=True)
    organization_id: str = Field(sa_column=reference("organizations.id"))
    project_id: str | None = Field(default=None, sa_column=reference("projects.id", nullable=True, index=True))
    email: str = Field(index=True, description="normalised")
    role: OrganizationRole = Field(sa_type=sa.String)
    token_hash: str = Field(unique=True)
    mailed_token_hash: str | None = None
    invited_by: str = Field(sa_column=reference("users.id", index=True))
    status: InvitationStatus = Field(default=InvitationStatus.PENDING, sa_type=sa.String)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc)


class InvitationProject(SQLModel, table=True):
    """A project that an invitation brings, with the role in it."""

    __tablename__ = "invitation_projects"
    __table_args__ = (one_of("role", "role", ProjectRole),)

    invitation_id: str = Field(sa_column=reference("invitations.id", primary_key=True))
    project_id: str = Field(sa_column=reference("projects.id", primary_key=True))
    role: ProjectRole = Field(sa_type=sa.String)
