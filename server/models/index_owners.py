"""Which processes keep the index of a Postgres database up to date, and until when."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc


class IndexOwner(SQLModel, table=True):
    """A lease on the index of a part of the projects: one row a part. SQLite has no use for it.

    `fence` grows whenever the part gets another holder, so that an earlier one can tell that it lost the part.
    """

    __tablename__ = "index_owners"

    shard: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    holder: str | None = None
    fence: int = Field(default=0, sa_type=sa.BigInteger)
    expires_at: datetime | None = Field(default=None, sa_type=Utc)


class IndexWorker(SQLModel, table=True):
    """A process that can own parts of the index. Their number decides how many parts each may hold."""

    __tablename__ = "index_workers"

    name: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_type=Utc)
