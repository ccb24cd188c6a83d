"""API keys. Each key opens one project with fixed permissions."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, new_id, now


class ApiKey(SQLModel, table=True):
    """An API key, looked up by `token_hash`. `prefix` is the start of the key, so that people can tell keys apart."""

    __tablename__ = "api_keys"

    id: str = Field(default_factory=lambda: new_id("key_"), primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    created_by: str = Field(sa_column=foreign_key("users.id", index=True))
    name: str
    prefix: str
    token_hash: str = Field(unique=True)
    permissions: list[str] = Field(sa_type=sa.JSON)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    last_used_at: datetime | None = Field(default=None, sa_type=Utc)
    expires_at: datetime | None = Field(default=None, sa_type=Utc)

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now()
