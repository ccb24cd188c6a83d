"""The counts of the index's worker: vectors by model, and the languages of each project."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, now


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
