"""OAuth 2.1: clients, pending requests, codes, grants (a user's connection of a client to a project) and tokens.

Secrets are stored as hashes. Each token belongs to a grant, so that deleting a grant deletes its tokens.
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
    """A program that asks for access. It registers itself, publishes a document at its URL, or an operator creates it.

    `id` is the client_id. For a document it is the document's URL; other ids never begin with https. A client's
    description of itself is not verified. After `fresh_until` the document must be read again. A public client that
    registers again from the same address has the same `registration_hash`.
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
    registration_hash: str | None = Field(default=None, unique=True, index=True)
    authorized_at: datetime | None = Field(
        default=None, sa_type=Utc, description="None if it was never authorized, so that it may be deleted"
    )


class AuthorizationRequest(SQLModel, table=True):
    """A valid request that waits for the user's decision. Only the browser session that sent it can answer it."""

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
    """An authorization code. It works once: `used_at` is set when it is exchanged for `grant_id`.

    A second use ends that grant. `grant_id` is not a foreign key, because then deleting a grant would have to lock the
    code.
    """

    __tablename__ = "oauth_codes"

    code_hash: str = Field(primary_key=True)
    request_id: str = Field(unique=True, description="a request has at most one code")
    client_id: str = Field(sa_column=foreign_key("oauth_clients.id", index=True))
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    redirect_uri: str
    scopes: list[str] = Field(sa_type=sa.JSON)
    is_read_only: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    code_challenge: str
    expires_at: datetime = Field(sa_type=Utc, index=True)
    used_at: datetime | None = Field(default=None, sa_type=Utc)
    grant_id: str | None = None


class OAuthGrant(SQLModel, table=True):
    """A user's connection of a client to one project, and the family of all tokens issued after that consent.

    `is_read_only` is true if the user chose that the client may only read, although it asked for more.
    """

    __tablename__ = "oauth_grants"

    id: str = Field(default_factory=lambda: new_id("con_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    client_id: str = Field(sa_column=foreign_key("oauth_clients.id", index=True))
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    scopes: list[str] = Field(sa_type=sa.JSON)
    is_read_only: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
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
    """A refresh token. Once `rotated_at` is set, it works for a grace period, for a few `successors`.

    `reused_at` is its first use after that period. A second such use means that it was copied.
    """

    __tablename__ = "oauth_refresh_tokens"

    token_hash: str = Field(primary_key=True)
    grant_id: str = Field(sa_column=foreign_key("oauth_grants.id", index=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc, index=True)
    rotated_at: datetime | None = Field(default=None, sa_type=Utc)
    successors: int = 0
    reused_at: datetime | None = Field(default=None, sa_type=Utc)
