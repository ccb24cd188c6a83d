"""Users, their browser sessions, and tokens sent by mail."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, enum_check, foreign_key, new_id, now


class User(SQLModel, table=True):
    """A person. When an account is deleted, the row stays without personal data, because history refers to its id."""

    __tablename__ = "users"

    id: str = Field(default_factory=lambda: new_id("user_"), primary_key=True)
    email: str | None = Field(default=None, unique=True, description="normalized; None after the account is deleted")
    name: str = ""
    password_hash: str | None = None
    email_verified_at: datetime | None = Field(default=None, sa_type=Utc)
    browser_epoch: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """Grows with each new password. Browsers that signed in before are then unknown again."""
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)
    deleted_at: datetime | None = Field(default=None, sa_type=Utc)


class BrowserSession(SQLModel, table=True):
    """A signed-in browser, looked up by the hash of its cookie."""

    __tablename__ = "sessions"

    id: str = Field(default_factory=lambda: new_id("ses_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    token_hash: str = Field(unique=True)
    user_agent: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    last_seen_at: datetime = Field(default_factory=now, sa_type=Utc)
    verified_at: datetime | None = Field(
        default=None, sa_type=Utc, description="when the user last proved their identity in this browser"
    )
    expires_at: datetime = Field(sa_type=Utc, index=True)


class MailedPurpose(StrEnum):
    VERIFY = "verify"
    RESET = "reset"
    CHANGE = "change"


class MailedToken(SQLModel, table=True):
    """A single-use link for a user.

    `was_mailed` is true if it went to the user's address alone, false if the command line printed it. `address` is the
    new address that a `CHANGE` gives the user, to which it was mailed.
    """

    __tablename__ = "mailed_tokens"
    __table_args__ = (enum_check("purpose", "purpose", MailedPurpose),)

    id: str = Field(default_factory=lambda: new_id("mtk_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    purpose: MailedPurpose = Field(sa_type=sa.String)
    token_hash: str = Field(unique=True)
    was_mailed: bool = Field(default=True, sa_column_kwargs={"server_default": sa.true()})
    address: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc)
