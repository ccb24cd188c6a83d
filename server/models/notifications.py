"""Notifications in the dashboard, and mail that waits to be sent."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import JsonObject, Utc, foreign_key, new_id, now


class Notification(SQLModel, table=True):
    __tablename__ = "notifications"
    __table_args__ = (sa.Index("ix_notifications_newest", "user_id", "id"),)

    id: str = Field(default_factory=lambda: new_id("ntf_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id"))
    type: str
    topic: str | None = Field(default=None, index=True, description="unread notices of one topic are gathered into one")
    title: str
    message: str
    details: JsonObject = Field(default_factory=dict, sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    read_at: datetime | None = Field(default=None, sa_type=Utc)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)


class Mail(SQLModel, table=True):
    """Mail to be sent. `sealed` is its address and text, encrypted because the text may hold a token."""

    __tablename__ = "mails"

    id: str = Field(default_factory=lambda: new_id("mail_"), primary_key=True)
    sealed: bytes = Field(sa_type=sa.LargeBinary)
    attempts: int = 0
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    due_at: datetime = Field(default_factory=now, sa_type=Utc, index=True)
