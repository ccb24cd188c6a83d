"""The state of the index: changes to apply, collections, which processes own it, and what its worker counted.

The index itself is derived from the memories: see `server.index`.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, now
from server.models.memories import Number


class IndexTask(SQLModel, table=True):
    """A change that the worker must still apply to the index. It reads the memory when it takes the task.

    `memory_number` 0 tells the worker to erase the words of deleted memories from disk.
    """

    __tablename__ = "index_tasks"

    number: int = Field(default=None, sa_column=sa.Column(Number, primary_key=True, autoincrement=True))
    project_id: str = Field(index=True)
    memory_number: int = Field(sa_type=sa.BigInteger)
    piece_count: int = Field(default=0, description="how many pieces of the memory the collection may still hold")
    created_at: datetime = Field(default_factory=now, sa_type=Utc)


class ProjectIndex(SQLModel, table=True):
    """A project's collection in Chroma. Without a row, or while `ready_at` is None, searches scan exactly.

    The collection holds each vector minus `mean` (float32), the mean of the project's pieces when it was built.
    `removals` is the project's counter at that time. `erased` is the value of that counter up to which deleted vectors
    are gone from the collection's files, and `erased_at` is the time of the last erasure.

    `building` names the collection that will replace it, or is "". That collection has the memories up to the number
    `built_to`.
    """

    __tablename__ = "project_indexes"

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    collection: str
    embedding_model: str
    mean: bytes = Field(sa_type=sa.LargeBinary)
    removals: int = Field(default=0, sa_type=sa.BigInteger)
    ready_at: datetime | None = Field(default=None, sa_type=Utc)
    building: str = Field(default="", sa_column_kwargs={"server_default": ""})
    building_mean: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    built_to: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    erased: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    erased_at: datetime | None = Field(default=None, sa_type=Utc)


class IndexSurvey(SQLModel, table=True):
    """One row with the last counts, so that every process can report them without counting.

    `models` has the number of memories by the model of their vectors, "" for no vectors yet.
    """

    __tablename__ = "index_survey"

    number: int = Field(default=1, primary_key=True)
    models: dict[str, int] = Field(sa_type=sa.JSON)
    misread_projects: int = Field(
        default=0, description="how many projects have many memories in languages that the model does not support"
    )
    work: str = Field(default="", description="the worker's job and its progress")
    counted_at: datetime = Field(default_factory=now, sa_type=Utc)


class ProjectLanguages(SQLModel, table=True):
    """How many of a project's newest memories are not in English, when it had `memory_count` memories."""

    __tablename__ = "project_languages"

    project_id: str = Field(sa_column=foreign_key("projects.id", primary_key=True))
    memory_count: int
    revision: int = Field(sa_type=sa.BigInteger)
    english: int
    others: int
    is_misread: bool
    counted_at: datetime = Field(default_factory=now, sa_type=Utc)


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


class WordIndexState(SQLModel, table=True):
    """One row: the tokenizer's `version`, and the number below which memories still have words of an earlier version.

    Without a row, all memories do.
    """

    __tablename__ = "word_index_state"

    number: int = Field(default=1, primary_key=True)
    version: int
    outdated_below: int = Field(sa_type=sa.BigInteger)


class Installation(SQLModel, table=True):
    """One row. `id` is part of the names of this database's collections on a Chroma server, so they stay the same if
    the database's address or password changes.
    """

    __tablename__ = "installation"

    number: int = Field(default=1, primary_key=True)
    id: str
