"""Audit events: who changed which rights, and when. They hold no secrets and no memory text."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import JsonObject, Utc, foreign_key, new_id, now


class AuditEvent(SQLModel, table=True):
    """An event of an organization (`organization_id`), of one person's account (`user_id`), or of neither."""

    __tablename__ = "audit_events"
    __table_args__ = (
        sa.Index("ix_audit_events_newest", "organization_id", "id"),
        sa.Index("ix_audit_events_newest_own", "user_id", "id"),
    )

    id: str = Field(default_factory=lambda: new_id("evt_"), primary_key=True)
    organization_id: str | None = Field(default=None, sa_column=foreign_key("organizations.id", nullable=True))
    user_id: str | None = None
    type: str
    actor_id: str | None = None
    target: str = ""
    details: JsonObject = Field(default_factory=dict, sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
