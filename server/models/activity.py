"""The activity of a project: what was done with its memories, by whom, through which source, and when."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, enum_check, foreign_key, new_id, now


class ActivityKind(StrEnum):
    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
    SEARCH = "search"
    READ = "read"
    LIST = "list"
    EXPORT = "export"
    IMPORT = "import"


class ActivityEvent(SQLModel, table=True):
    """One operation. `count` is the number of affected memories; `memory_ids` are the first of them.

    `actor_id` is empty for the command line.
    """

    __tablename__ = "activity_events"
    __table_args__ = (
        enum_check("kind", "kind", ActivityKind),
        sa.Index("ix_activity_events_newest", "project_id", "id"),
    )

    id: str = Field(default_factory=lambda: new_id("act_"), primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    kind: ActivityKind = Field(sa_type=sa.String)
    source_kind: str
    source_id: str
    source_name: str
    actor_id: str
    memory_ids: list[str] = Field(sa_type=sa.JSON)
    query: str | None = Field(default=None, sa_type=sa.Text)
    count: int
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
