"""What identifies this database."""

from sqlmodel import Field, SQLModel


class Installation(SQLModel, table=True):
    """One row. `id` names this database's collections on a Chroma server, whatever its address and password are."""

    __tablename__ = "installation"

    number: int = Field(default=1, primary_key=True)
    id: str
