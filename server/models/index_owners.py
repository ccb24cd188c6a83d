"""Records which processes keep the index of a Postgres database up to date, and until when."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc


class IndexOwner(SQLModel, table=True):
    """A lease on the index of one part of the projects, with one row per part. SQLite does not use it. `fence` grows
    whenever the part gets a new holder, so that the earlier holder can tell that it has lost the part.
    """

    __tablename__ = "index_owners"

    shard: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    holder: str | None = None
    fence: int = Field(default=0, sa_type=sa.BigInteger)
    expires_at: datetime | None = Field(default=None, sa_type=Utc)


class IndexWorker(SQLModel, table=True):
    """A process that can own parts of the index. The number of these processes decides how many parts each may hold."""

    __tablename__ = "index_workers"

    name: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_type=Utc)
