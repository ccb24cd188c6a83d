"""Projects and their members."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, col

from server.models.base import Utc, enum_check, foreign_key, new_id, now


class ProjectRole(StrEnum):
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


class Project(SQLModel, table=True):
    """A set of memories. Each transaction that changes memories also updates the counters.

    A deleted project has no organization, no name and zeros for counters. Nobody can reach it, since access starts from
    organizations. `server.index.upkeep.removal` deletes its content, and then its row.

    `revision` grows with every change, and a memory stores the revision of its last change. `removals` grows with every
    deletion. A cached matrix compares both with their values at its last read to find the memories to read again.
    `epoch` changes when the database may have been restored to an earlier state, which makes the counters meaningless.
    """

    __tablename__ = "projects"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name_key"),)

    id: str = Field(default_factory=lambda: new_id("proj_"), primary_key=True)
    organization_id: str = Field(sa_column=foreign_key("organizations.id", nullable=True))
    name: str
    name_key: str = Field(description="the name in the form that is compared: case-folded, NFKC")
    created_by: str = Field(sa_column=foreign_key("users.id", on_delete="RESTRICT", index=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)
    revision: int = Field(default=0, sa_type=sa.BigInteger)
    removals: int = Field(default=0, sa_type=sa.BigInteger)
    epoch: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    memory_count: int = 0
    memory_bytes: int = Field(default=0, sa_type=sa.BigInteger, description="the sum of `stored_size` of the memories")
    piece_count: int = 0
    trash_days: int | None = Field(default=None, description="None means the server's default")


class ProjectMember(SQLModel, table=True):
    __tablename__ = "project_members"
    __table_args__ = (enum_check("role", "role", ProjectRole),)

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    user_id: str = Field(sa_column=foreign_key("users.id", primary_key=True, index=True))
    role: ProjectRole = Field(sa_type=sa.String)
    joined_at: datetime = Field(default_factory=now, sa_type=Utc)


IS_DELETED = col(Project.organization_id).is_(None)
"""The condition for deleted projects."""


def deleted_projects() -> sa.Select[str]:
    """Return the query for the ids of deleted projects that are not removed yet."""
    return sa.select(col(Project.id)).where(IS_DELETED)
