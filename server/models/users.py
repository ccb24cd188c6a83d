"""Users, their sessions and the tokens that reach them by mail."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, new_id, now, one_of, reference


class User(SQLModel, table=True):
    """A person. After deletion the row stays without anything personal, so that history keeps its author's id."""

    __tablename__ = "users"

    id: str = Field(default_factory=lambda: new_id("user_"), primary_key=True)
    email: str | None = Field(default=None, unique=True, description="normalised; None once the account is deleted")
    name: str = ""
    password_hash: str | None = None
    email_verified_at: datetime | None = Field(default=None, sa_type=Utc)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)
    deleted_at: datetime | None = Field(default=None, sa_type=Utc)


class BrowserSession(SQLModel, table=True):
    """A browser's sign-in; the cookie's value is found by its hash."""

    __tablename__ = "sessions"

    id: str = Field(default_factory=lambda: new_id("ses_"), primary_key=True)
    user_id: str = Field(sa_column=reference("users.id", index=True))
    token_hash: str = Field(unique=True)
    user_agent: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    last_seen_at: datetime = Field(default_factory=now, sa_type=Utc)
    verified_at: datetime | None = Field(
        default=None, sa_type=Utc, description="when the user last proved in this browser who they are"
    )
    expires_at: datetime = Field(sa_type=Utc, index=True)


class MailedPurpose(StrEnum):
    VERIFY = "verify"
    RESET = "reset"


class MailedToken(SQLModel, table=True):
    """A single-use link that was sent to a user's address."""

    __tablename__ = "mailed_tokens"
    __table_args__ = (one_of("purpose", "purpose", MailedPurpose),)

    id: str = Field(default_factory=lambda: new_id("mtk_"), primary_key=True)
    user_id: str = Field(sa_column=reference("users.id", index=True))
    purpose: MailedPurpose = Field(sa_type=sa.String)
    token_hash: str = Field(unique=True)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc)
