"""Memories that are being imported. Queries of memories do not read these tables."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, new_id, now
from server.models.sources import Source, SourceColumn

STORED = ""
"""The value of `line` for a memory that is stored and only lacks its words."""

HISTORY = "history"
"""The value of `content_hash` for a part of the history of the memory in the row before."""

MOVED = "moved"
"""The value of `content_hash` for a memory that moves from another project."""


class Import(SQLModel, table=True):
    """Memories that are stored together or not at all. `committed_at` is set when all are staged.

    `touched_at` distinguishes an import in progress from one that a crash left behind. `memory_count` and
    `memory_bytes` cover the memories that are staged and not published yet.
    """

    __tablename__ = "imports"

    id: str = Field(default_factory=lambda: new_id("imp_"), primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id", index=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    touched_at: datetime = Field(default_factory=now, sa_type=Utc, index=True)
    committed_at: datetime | None = Field(default=None, sa_type=Utc)
    created_by: str | None = Field(default=None, description="the author of the memories")
    source: Source | None = Field(
        default=None, sa_type=SourceColumn, description="the source of the memories; None means the import itself"
    )
    memory_count: int = 0
    memory_bytes: int = Field(default=0, sa_type=sa.BigInteger)


class StagedMemory(SQLModel, table=True):
    """A memory of an import with its vectors. `line` is a line of an export, `STORED`, a part of a history, or the rows
    of a memory that moves; `spans` are as in `Embedded`.

    Deleting a row takes as long as writing it. So the row of a stored memory may stay until the next transaction. In
    that case a second row represents it, without vectors, at the position `-1 - position`.
    """

    __tablename__ = "staged_memories"
    __table_args__ = (sa.Index("ix_staged_memories_content", "import_id", "content_hash"),)

    import_id: str = Field(sa_column=foreign_key("imports.id", primary_key=True))
    position: int = Field(primary_key=True)
    memory_id: str | None = Field(default=None, description="None if it was staged by an earlier version")
    line: str = Field(sa_type=sa.Text)
    content_hash: str = Field(default="", sa_column_kwargs={"server_default": ""})
    spans: list[list[int]] = Field(default_factory=list, sa_type=sa.JSON)
    embedding_model: str = ""
    vectors: bytes = Field(default=b"", sa_type=sa.LargeBinary)
