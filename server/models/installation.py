"""The identity of this database."""

from sqlmodel import Field, SQLModel


class Installation(SQLModel, table=True):
    """One row. `id` names this database's collections on a Chroma server, even if its address or password changes."""

    __tablename__ = "installation"

    number: int = Field(default=1, primary_key=True)
    id: str
