"""Invitations to an organization or a project, by email address."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, enum_check, foreign_key, new_id, now
from server.models.organizations import OrganizationRole
from server.models.projects import ProjectRole


class InvitationStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    CANCELLED = "cancelled"


def _pending(name: str, *columns: str, condition: str) -> sa.Index:
    """Return a unique index over pending invitations.

    Each address has at most one pending invitation. It takes two indexes, because SQL treats two NULLs as different.
    """
    where = sa.text(f"status = 'pending' AND {condition}")
    return sa.Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


class Invitation(SQLModel, table=True):
    """An invitation to an organization, or to one project if `project_id` is set; `role` is then always member.

    It has two tokens, stored as hashes. The inviter sees the token of `token_hash`. The token of `mailed_token_hash`
    is only in the letter, so it proves ownership of the mailbox; None if no letter was sent.
    """

    __tablename__ = "invitations"
    __table_args__ = (
        enum_check("status", "status", InvitationStatus),
        sa.CheckConstraint("role IN ('admin', 'member')", name="role"),
        _pending("uq_invitations_pending_organization", "organization_id", "email", condition="project_id IS NULL"),
        _pending("uq_invitations_pending_project", "project_id", "email", condition="project_id IS NOT NULL"),
        sa.Index("uq_invitations_mailed_token_hash", "mailed_token_hash", unique=True),
    )

    id: str = Field(default_factory=lambda: new_id("inv_"), primary_key=True)
    organization_id: str = Field(sa_column=foreign_key("organizations.id", index=True))
    project_id: str | None = Field(default=None, sa_column=foreign_key("projects.id", nullable=True, index=True))
    email: str = Field(index=True, description="normalized")
    role: OrganizationRole = Field(sa_type=sa.String)
    token_hash: str = Field(unique=True)
    mailed_token_hash: str | None = None
    invited_by: str = Field(sa_column=foreign_key("users.id", index=True))
    status: InvitationStatus = Field(default=InvitationStatus.PENDING, sa_type=sa.String)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc)


class InvitationProject(SQLModel, table=True):
    """A project that the invited person joins on acceptance, and the role there."""

    __tablename__ = "invitation_projects"
    __table_args__ = (enum_check("role", "role", ProjectRole),)

    invitation_id: str = Field(sa_column=foreign_key("invitations.id", primary_key=True))
    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True, index=True))
    role: ProjectRole = Field(sa_type=sa.String)
