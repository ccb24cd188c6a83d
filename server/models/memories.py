"""Memories, and the rows that are derived from them in the same transaction.

Tables join on `number`, a short integer. Callers use `id`, which sorts like `created_at`.
The word index (FTS5 or tsvector) is the table `memory_words`: a migration creates it and `word_index` writes it.
"""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field, SQLModel, col

from server.models.base import JsonObject, Utc, enum_check, foreign_key, new_id, now
from server.models.sources import Source, SourceColumn

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_EXPIRES = sa.text("expires_at IS NOT NULL")
_PINNED, _PINNED_1 = sa.text("pinned"), sa.text("pinned = 1")  # as queries write it, so that they can use the index


class Memory(SQLModel, table=True):
    __tablename__ = "memories"
    __table_args__ = (
        sa.Index("ix_memories_newest", "project_id", "id"),
        sa.Index("ix_memories_newest_of_user", "project_id", "user_id", "id"),
        sa.Index("ix_memories_content", "project_id", "content_hash"),
        sa.Index("ix_memories_revision", "project_id", "revision"),
        sa.Index("ix_memories_embedding_model", "embedding_model"),
        sa.Index("ix_memories_source", "project_id", "source_kind", "source_id"),
        sa.Index("ix_memories_expiry", "expires_at", "project_id", sqlite_where=_EXPIRES, postgresql_where=_EXPIRES),
        sa.Index("ix_memories_pinned", "project_id", "id", sqlite_where=_PINNED_1, postgresql_where=_PINNED),
        {
            "sqlite_autoincrement": True
        },  # never reuse a number: the index may still hold the vectors of a deleted memory
    )

    number: int = Field(default=None, sa_column=sa.Column(Number, primary_key=True, autoincrement=True))
    id: str = Field(default_factory=lambda: new_id("mem_"), unique=True)
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    user_id: str | None = Field(default=None, description="the caller's end user: a partition of the project")
    content: str = Field(sa_type=sa.Text)
    content_hash: str = Field(description="SHA-256 of the content without surrounding whitespace")
    messages: list[dict[str, str]] | None = Field(
        default=None, sa_type=sa.JSON, description="the messages, if there are several"
    )
    details: JsonObject = Field(default_factory=dict, sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    version: int = 1
    revision: int = Field(default=0, sa_type=sa.BigInteger)
    embedding_model: str = ""
    piece_count: int = 0
    place: int = Field(
        default=0, sa_type=sa.BigInteger, description="the place in its conversation; see `words.conversations`"
    )
    created_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))
    updated_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
    updated_at: datetime = Field(default_factory=now, sa_type=Utc)
    stored_at: datetime | None = Field(
        default_factory=now, sa_type=Utc, description="when the row was stored: `created_at` may be any time before"
    )
    pinned: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})
    expires_at: datetime | None = Field(default=None, sa_type=Utc)
    source_kind: str | None = None
    source_id: str | None = None
    source_name: str | None = None
    updated_source: Source | None = Field(
        default=None, sa_type=SourceColumn, description="the source of the current version"
    )

    @property
    def source(self) -> Source | None:
        """What created the memory. None if an older server stored it."""
        if self.source_kind is None:
            return None
        return Source(self.source_kind, self.source_id or "", self.source_name or "")

    def set_source(self, source: Source | None) -> None:
        """Set the source of a new memory and of its first version."""
        self.updated_source = source
        if source is not None:
            self.source_kind, self.source_id, self.source_name = source.kind, source.id, source.name


class MemoryVersion(SQLModel, table=True):
    """A memory as it was before a change. A text or metadata that is None is the same as in the next version.

    `pinned` is None if an older server, without pins and expiry, stored the row.
    """

    __tablename__ = "memory_versions"

    memory_number: int = Field(sa_column=foreign_key("memories.number", primary_key=True))
    version: int = Field(primary_key=True)
    content: str | None = Field(default=None, sa_type=sa.Text)
    details: JsonObject | None = Field(default=None, sa_column=sa.Column("metadata", sa.JSON(none_as_null=True)))
    updated_at: datetime = Field(sa_type=Utc)
    updated_by: str | None = Field(default=None, sa_column=foreign_key("users.id", on_delete="SET NULL", nullable=True))
    source: Source | None = Field(default=None, sa_type=SourceColumn)
    pinned: bool | None = None
    expires_at: datetime | None = Field(default=None, sa_type=Utc)


class LabelKind(StrEnum):
    TAG = "tag"
    PERSON = "person"
    CATEGORY = "category"
    METADATA = "metadata"


class Label(SQLModel, table=True):
    """A value that filters compare as a whole: a tag, a person, a category, or one metadata entry (hashed)."""

    __tablename__ = "labels"
    __table_args__ = (
        enum_check("kind", "kind", LabelKind),
        sa.Index("ix_labels_value", "project_id", "kind", "value", "memory_number"),
    )

    memory_number: int = Field(sa_column=foreign_key("memories.number", primary_key=True))
    kind: LabelKind = Field(sa_type=sa.String, primary_key=True)
    value: str = Field(primary_key=True, description="case-folded; long values are hashed")
    project_id: str = Field(sa_column=foreign_key("projects.id"))


class Piece(SQLModel, table=True):
    """A part of a memory, about one sentence, with its vector. The text is `content[start:end]`.

    The vector is float32, has unit length and comes from the memory's `embedding_model`.
    """

    __tablename__ = "pieces"
    __table_args__ = (sa.Index("ix_pieces_project", "project_id", "memory_number"),)

    memory_number: int = Field(sa_column=foreign_key("memories.number", primary_key=True))
    position: int = Field(primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    start: int
    end: int
    is_question: bool = False
    vector: bytes = Field(sa_type=sa.LargeBinary)


class IdempotencyKey(SQLModel, table=True):
    """The answer to a create request. For 24 hours, the same key and body get the same answer."""

    __tablename__ = "idempotency_keys"

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    created_by: str = Field(primary_key=True)
    key_hash: str = Field(primary_key=True)
    body_hash: str
    memory_ids: list[str] = Field(sa_type=sa.JSON)
    created_at: datetime = Field(default_factory=now, sa_type=Utc, index=True)


def is_live(moment: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Return the condition for memories that have not expired yet."""
    return sa.or_(col(Memory.expires_at).is_(None), col(Memory.expires_at) > moment)


def has_expired(moment: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Return the condition for memories that have expired. It can use an index."""
    return sa.and_(col(Memory.expires_at).is_not(None), col(Memory.expires_at) <= moment)
