"""Searches and filtered lists that people saved under a name."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, new_id, now


class SavedView(SQLModel, table=True):
    """A list of one project's memories as one person saved it. `query` is the query string of its address."""

    __tablename__ = "saved_views"
    __table_args__ = (sa.UniqueConstraint("project_id", "user_id", "name_key"),)

    id: str = Field(default_factory=lambda: new_id("view_"), primary_key=True)
    project_id: str = Field(sa_column=foreign_key("projects.id"))
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    name: str
    name_key: str = Field(description="the name in the form that is compared: case-folded, NFKC")
    query: str = Field(sa_type=sa.Text)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)
