"""Notifications in the dashboard, mail to be sent, and letters that were sent within a day."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import JsonObject, Utc, enum_check, foreign_key, new_id, now


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
    """Mail to be sent. `sealed` is its address and text, encrypted because the text may hold a token.

    `key_id` names the encryption key. It is None if an older server stored the row.
    """

    __tablename__ = "mails"

    id: str = Field(default_factory=lambda: new_id("mail_"), primary_key=True)
    sealed: bytes = Field(sa_type=sa.LargeBinary)
    key_id: str | None = None
    attempts: int = 0
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    due_at: datetime = Field(default_factory=now, sa_type=Utc, index=True)


class LetterKind(StrEnum):
    INVITATION = "invitation"
    VERIFICATION = "verification"
    RESET = "reset"


class SentLetter(SQLModel, table=True):
    """A letter to somebody who may not want it. Has no foreign keys, so that deletions do not reset its count."""

    __tablename__ = "sent_letters"
    __table_args__ = (
        enum_check("kind", "kind", LetterKind),
        sa.Index("ix_sent_letters_recipient", "recipient_hash", "created_at"),
        sa.Index("ix_sent_letters_sender", "sender_id", "created_at"),
    )

    id: str = Field(default_factory=lambda: new_id("ltr_"), primary_key=True)
    kind: LetterKind = Field(sa_type=sa.String)
    recipient_hash: str
    sender_id: str | None = None
    invitation_id: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Utc, index=True)
