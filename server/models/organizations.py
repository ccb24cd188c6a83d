"""Organizations and their members."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, enum_check, foreign_key, new_id, now


class OrganizationKind(StrEnum):
    PERSONAL = "personal"
    CUSTOM = "custom"


class OrganizationRole(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Organization(SQLModel, table=True):
    """A team, or a user's personal organization. `owner_id` is its only owner."""

    __tablename__ = "organizations"
    __table_args__ = (
        sa.UniqueConstraint("owner_id", "name_key"),
        enum_check("kind", "kind", OrganizationKind),
        sa.Index("uq_organizations_personal", "owner_id", unique=True, sqlite_where=sa.text("kind = 'personal'"),
                 postgresql_where=sa.text("kind = 'personal'")),
    )  # fmt: skip

    id: str = Field(default_factory=lambda: new_id("org_"), primary_key=True)
    name: str
    name_key: str = Field(description="the name in the form that is compared: case-folded, NFKC")
    kind: OrganizationKind = Field(default=OrganizationKind.CUSTOM, sa_type=sa.String)
    owner_id: str = Field(sa_column=foreign_key("users.id", on_delete="RESTRICT"))
    owner_since: datetime = Field(default_factory=now, sa_type=Utc, description="when the owner joined")
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)


class OrganizationMember(SQLModel, table=True):
    """A member who is not the owner; the owner is in `Organization.owner_id`."""

    __tablename__ = "organization_members"
    __table_args__ = (sa.CheckConstraint("role IN ('admin', 'member')", name="role"),)

    organization_id: str = Field(sa_column=foreign_key("organizations.id", primary_key=True))
    user_id: str = Field(sa_column=foreign_key("users.id", primary_key=True, index=True))
    role: OrganizationRole = Field(sa_type=sa.String)
    joined_at: datetime = Field(default_factory=now, sa_type=Utc)
