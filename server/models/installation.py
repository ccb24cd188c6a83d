"""The identity of this database."""

from sqlmodel import Field, SQLModel


class Installation(SQLModel, table=True):
    """One row. `id` is part of the names of this database's collections on a Chroma server, so they stay the same if
    the database's address or password changes.
    """

    __tablename__ = "installation"

    number: int = Field(default=1, primary_key=True)
    id: str
