"""Deleted memories that can be restored, and deletions of all memories of a project that have begun."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import JsonObject, Utc, foreign_key, new_id, now
from server.models.sources import Source, SourceColumn


class BegunDeletion(SQLModel, table=True):
    """A deletion of the memories that a project, or one end user, had at a time. The row goes with the last of them.

    It covers the memories up to the number `newest`, and those in the trash since before `created_at`. `touched_at`
    distinguishes a deletion in progress from one that a crash left behind.
    """

    __tablename__ = "begun_deletions"

    id: str = Field(default_factory=lambda: new_id("del_"), primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    user_id: str | None = Field(default=None, description="the end user; None means all of the project")
    newest: int = Field(sa_type=sa.BigInteger)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    touched_at: datetime = Field(default_factory=now, sa_type=Utc)


class TrashedMemory(SQLModel, table=True):
    """A deleted memory with its versions and vectors, until `deleted_until`. No query of memories reads this table.

    `memory` and `versions` hold the columns of its rows; `spans` are as in `Embedded`. `source` is what deleted it.
    """

    __tablename__ = "trashed_memories"
    __table_args__ = (sa.Index("ix_trashed_memories_newest", "project_id", "deleted_at"),)

    id: str = Field(primary_key=True, description="the id of the memory")
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    user_id: str | None = None
    memory: JsonObject = Field(sa_type=sa.JSON)
    versions: list[JsonObject] = Field(sa_type=sa.JSON)
    spans: list[list[int]] = Field(sa_type=sa.JSON)
    embedding_model: str
    vectors: bytes = Field(sa_type=sa.LargeBinary)
    expires_at: datetime | None = Field(default=None, sa_type=Utc, index=True)
    deleted_at: datetime = Field(sa_type=Utc)
    deleted_until: datetime = Field(sa_type=Utc, index=True)
    deleted_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))
    source: Source | None = Field(default=None, sa_type=SourceColumn)
