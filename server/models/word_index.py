"""Which tokenizer wrote the word index."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class WordIndexState(SQLModel, table=True):
    """One row: `version` of the tokenizer, and the number below which memories still have the words of an earlier one.

    No row: all memories have.
    """

    __tablename__ = "word_index_state"

    number: int = Field(default=1, primary_key=True)
    version: int
    outdated_below: int = Field(sa_type=BigInteger)
