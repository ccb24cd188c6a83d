"""Ways to sign in without a password: passkeys, and accounts at the identity provider."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, new_id, now


class Passkey(SQLModel, table=True):
    """A public key whose private half stays with the user's device or password manager (Web Authentication)."""

    __tablename__ = "passkeys"

    id: str = Field(default_factory=lambda: new_id("pky_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    name: str
    credential_id: str = Field(unique=True, description="base64url, chosen by the authenticator")
    public_key: bytes = Field(description="a COSE key")
    sign_count: int = Field(sa_type=sa.BigInteger, description="grows with each use, unless it stays 0")
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    last_used_at: datetime | None = Field(default=None, sa_type=Utc)


class Identity(SQLModel, table=True):
    """A user's account at an identity provider, found by an identifier that the provider never reassigns."""

    __tablename__ = "identities"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)

    id: str = Field(default_factory=lambda: new_id("idn_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    issuer: str
    subject: str
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    last_used_at: datetime = Field(default_factory=now, sa_type=Utc)


class UsedChallenge(SQLModel, table=True):
    """A challenge that a passkey has answered, kept until it expires, so that it is not answered again."""

    __tablename__ = "used_challenges"

    challenge_hash: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_type=Utc, index=True)
