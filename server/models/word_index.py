"""The state of the word index."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class WordIndexState(SQLModel, table=True):
    """One row: the tokenizer's `version`, and the number below which memories still have words of an earlier version.

    Without a row, all memories do.
    """

    __tablename__ = "word_index_state"

    number: int = Field(default=1, primary_key=True)
    version: int
    outdated_below: int = Field(sa_type=BigInteger)
