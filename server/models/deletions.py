"""Deletions of all memories of a project that have begun."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, new_id, now


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
