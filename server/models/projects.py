"""Projects, which hold memories, and who may use them."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, enum_check, foreign_key, new_id, now


class ProjectRole(StrEnum):
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


class Project(SQLModel, table=True):
    """A tenant's set of memories, with counters kept in the transactions that change it.

    `revision` grows with every change of a memory (each memory keeps the revision of its last change), `removals`
    with every deletion: together they tell a cached matrix what to read anew.
    """

    __tablename__ = "projects"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name_key"),)

    id: str = Field(default_factory=lambda: new_id("proj_"), primary_key=True)
    organization_id: str = Field(sa_column=foreign_key("organizations.id"))
    name: str
    name_key: str = Field(description="the name as compared: casefolded, NFKC")
    created_by: str = Field(sa_column=foreign_key("users.id", on_delete="RESTRICT", index=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)
    revision: int = Field(default=0, sa_type=sa.BigInteger)
    removals: int = Field(default=0, sa_type=sa.BigInteger)
    memory_count: int = 0
    piece_count: int = 0


class ProjectMember(SQLModel, table=True):
    __tablename__ = "project_members"
    __table_args__ = (enum_check("role", "role", ProjectRole),)

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    user_id: str = Field(sa_column=foreign_key("users.id", primary_key=True, index=True))
    role: ProjectRole = Field(sa_type=sa.String)
    joined_at: datetime = Field(default_factory=now, sa_type=Utc)
