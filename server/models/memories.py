"""Memories and all that is derived from them in the same transaction.

Joins go by `number`, a short integer; callers know a memory by `id`, whose order is the order of `created_at`.
The word index (FTS5 or tsvector) is the table `memory_words`: a migration creates it, `word_index` writes it.
"""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import JsonObject, Utc, enum_check, foreign_key, new_id, now

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Memory(SQLModel, table=True):
    __tablename__ = "memories"
    __table_args__ = (
        sa.Index("ix_memories_newest", "project_id", "id"),
        sa.Index("ix_memories_newest_of_user", "project_id", "user_id", "id"),
        sa.Index("ix_memories_revision", "project_id", "revision"),
        sa.Index("ix_memories_embedding_model", "embedding_model"),
        {"sqlite_autoincrement": True},  # no number twice: the index may still hold the vectors of the first
    )

    number: int = Field(default=None, sa_column=sa.Column(Number, primary_key=True, autoincrement=True))
    id: str = Field(default_factory=lambda: new_id("mem_"), unique=True)
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    user_id: str | None = Field(default=None, description="the caller's end user: a partition of the project")
    content: str = Field(sa_type=sa.Text)
    content_hash: str = Field(description="SHA-256 of the content")
    messages: list[dict[str, str]] | None = Field(default=None, sa_type=sa.JSON, description="when several were sent")
    details: JsonObject = Field(default_factory=dict, sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    version: int = 1
    revision: int = Field(default=0, sa_type=sa.BigInteger)
    embedding_model: str = ""
    piece_count: int = 0
    created_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))
    updated_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)


class MemoryVersion(SQLModel, table=True):
    """What a memory was before a change."""

    __tablename__ = "memory_versions"

    memory_number: int = Field(sa_column=foreign_key("memories.number", primary_key=True))
    version: int = Field(primary_key=True)
    content: str = Field(sa_type=sa.Text)
    details: JsonObject = Field(default_factory=dict, sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    updated_at: datetime = Field(sa_type=Utc)
    updated_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))


class LabelKind(StrEnum):
    TAG = "tag"
    PERSON = "person"
    CATEGORY = "category"
    METADATA = "metadata"


class Label(SQLModel, table=True):
    """A whole value that a filter can ask for: a tag, a person, a category, or one metadata entry (hashed)."""

    __tablename__ = "labels"
    __table_args__ = (
        enum_check("kind", "kind", LabelKind),
        sa.Index("ix_labels_value", "project_id", "kind", "value", "memory_number"),
    )

    memory_number: int = Field(sa_column=foreign_key("memories.number", primary_key=True))
    kind: LabelKind = Field(sa_type=sa.String, primary_key=True)
    value: str = Field(primary_key=True, description="casefolded; a hash when long")
    project_id: str = Field(sa_column=foreign_key("projects.id"))


class Piece(SQLModel, table=True):
    """A sentence (or so) of a memory with its vector: float32, unit length, of the memory's `embedding_model`."""

    __tablename__ = "pieces"
    __table_args__ = (sa.Index("ix_pieces_project", "project_id", "memory_number"),)

    memory_number: int = Field(sa_column=foreign_key("memories.number", primary_key=True))
    position: int = Field(primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    start: int
    end: int
    vector: bytes = Field(sa_type=sa.LargeBinary)


class IndexTask(SQLModel, table=True):
    """Written in the transaction of a change; the index's owner looks at the memory as it is then.

    `memory_number` 0 means that something was removed, whose words must leave the disk.
    """

    __tablename__ = "index_tasks"

    number: int = Field(default=None, sa_column=sa.Column(Number, primary_key=True, autoincrement=True))
    project_id: str = Field(index=True)
    memory_number: int = Field(sa_type=sa.BigInteger)
    piece_count: int = Field(default=0, description="how many of its pieces the collection held before, at most")
    created_at: datetime = Field(default_factory=now, sa_type=Utc)


class ProjectIndex(SQLModel, table=True):
    """A project's collection in Chroma; no row or `ready_at` None means: scan exactly.

    The collection holds what `mean` (float32, of all the project's pieces when it was built) leaves of each vector;
    `removals` is the project's counter at that time.
    """

    __tablename__ = "project_indexes"

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    collection: str
    embedding_model: str
    mean: bytes = Field(sa_type=sa.LargeBinary)
    removals: int = Field(default=0, sa_type=sa.BigInteger)
    ready_at: datetime | None = Field(default=None, sa_type=Utc)


class IdempotencyKey(SQLModel, table=True):
    """A creation that was answered; for 24 hours the same key and body are answered alike."""

    __tablename__ = "idempotency_keys"

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    created_by: str = Field(primary_key=True)
    key_hash: str = Field(primary_key=True)
    body_hash: str
    memory_ids: list[str] = Field(sa_type=sa.JSON)
    created_at: datetime = Field(default_factory=now, sa_type=Utc, index=True)
