"""OAuth 2.1: clients, requests under way, codes, grants (a user's connection of a client to a project) and tokens.

Whatever grants a right is kept as its hash. A token hangs on its grant, so that deleting a grant ends all of it.
"""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import JsonObject, Utc, enum_check, foreign_key, new_id, now


class ClientKind(StrEnum):
    REGISTERED = "registered"
    DOCUMENT = "document"
    CONFIGURED = "configured"


class AuthMethod(StrEnum):
    """How a client proves who it is at the token endpoint (RFC 7591 section 2)."""

    NONE = "none"
    BASIC = "client_secret_basic"
    POST = "client_secret_post"


class OAuthClient(SQLModel, table=True):
    """A program that asks for access: registered by itself, described by a document at its own URL, or set up by hand.

    `id` is the client_id; of a document it is the URL, and no other kind begins with https. What it says about itself
    is not verified. `fresh_until` is when a document must be read again.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = (enum_check("kind", "kind", ClientKind), enum_check("auth_method", "auth_method", AuthMethod))

    id: str = Field(primary_key=True)
    kind: ClientKind = Field(sa_type=sa.String)
    name: str = ""
    redirect_uris: list[str] = Field(sa_type=sa.JSON)
    grant_types: list[str] = Field(sa_type=sa.JSON)
    auth_method: AuthMethod = Field(sa_type=sa.String)
    secret_hash: str | None = None
    details: JsonObject = Field(default_factory=dict, sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    read_at: datetime = Field(default_factory=now, sa_type=Utc)
    fresh_until: datetime | None = Field(default=None, sa_type=Utc)
    authorized_at: datetime | None = Field(default=None, sa_type=Utc, description="None: never used, may be removed")


class ParkedRequest(SQLModel, table=True):
    """The query of an authorization request whose user has to sign in first; `id` takes it through that."""

    __tablename__ = "oauth_parked_requests"

    id: str = Field(primary_key=True)
    query: str
    expires_at: datetime = Field(sa_type=Utc, index=True)


class AuthorizationRequest(SQLModel, table=True):
    """A checked request that waits for its user's decision, in the browser session that asked for it and no other."""

    __tablename__ = "oauth_authorization_requests"

    id: str = Field(primary_key=True)
    session_id: str = Field(sa_column=foreign_key("sessions.id", index=True))
    client_id: str = Field(sa_column=foreign_key("oauth_clients.id", index=True))
    redirect_uri: str
    scopes: list[str] = Field(sa_type=sa.JSON)
    state: str | None = None
    code_challenge: str
    expires_at: datetime = Field(sa_type=Utc, index=True)


class AuthorizationCode(SQLModel, table=True):
    """Single use: `used_at` is set once. `grant_id` is what it was exchanged for, to be ended if it comes again.

    No foreign key, since the grant may be gone and its deletion would have to lock the code.
    """

    __tablename__ = "oauth_codes"

    code_hash: str = Field(primary_key=True)
    request_id: str = Field(unique=True, description="one request has at most one live code")
    client_id: str = Field(sa_column=foreign_key("oauth_clients.id", index=True))
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    redirect_uri: str
    scopes: list[str] = Field(sa_type=sa.JSON)
    code_challenge: str
    expires_at: datetime = Field(sa_type=Utc, index=True)
    used_at: datetime | None = Field(default=None, sa_type=Utc)
    grant_id: str | None = None


class OAuthGrant(SQLModel, table=True):
    """A user's connection of a client to one project: the family of all tokens that began with one consent."""

    __tablename__ = "oauth_grants"

    id: str = Field(default_factory=lambda: new_id("con_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    client_id: str = Field(sa_column=foreign_key("oauth_clients.id", index=True))
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    scopes: list[str] = Field(sa_type=sa.JSON)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    last_used_at: datetime | None = Field(default=None, sa_type=Utc)


class AccessToken(SQLModel, table=True):
    __tablename__ = "oauth_access_tokens"

    token_hash: str = Field(primary_key=True)
    grant_id: str = Field(sa_column=foreign_key("oauth_grants.id", index=True))
    scopes: list[str] = Field(sa_type=sa.JSON)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc, index=True)


class RefreshToken(SQLModel, table=True):
    """`rotated_at`: it has been exchanged; it counts for a grace period, and then means that somebody copied it."""

    __tablename__ = "oauth_refresh_tokens"

    token_hash: str = Field(primary_key=True)
    grant_id: str = Field(sa_column=foreign_key("oauth_grants.id", index=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc, index=True)
    rotated_at: datetime | None = Field(default=None, sa_type=Utc)
