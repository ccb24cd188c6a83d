"""The types of the parameters of searches and lists. Every door uses them, so that their limits agree."""

import unicodedata
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from server.domain.memory.metadata import CONTENT_LENGTH


def parse_number(value: object) -> object:
    """Return the value. Raises ValueError for true and false, which Python treats as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def asks_nothing(query: str) -> bool:
    """Return whether the query has only blanks, punctuation and invisible characters. Assistants send `*` for all."""
    return not any(unicodedata.category(character)[0] in "LMNS" for character in query)


Query = Annotated[str, StringConstraints(max_length=CONTENT_LENGTH)]
Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(parse_number)]
Threshold = Annotated[float, Field(ge=0, le=1), BeforeValidator(parse_number)]
PageLimit = Annotated[int, Field(ge=1, le=1000)]
HistoryLimit = Annotated[int, Field(ge=1, le=100)]
Offset = Annotated[int, Field(ge=0, le=1_000_000_000)]
VersionNumber = Annotated[int, Field(ge=1, le=1_000_000_000), BeforeValidator(parse_number)]
"""The column holds a little more than twice as much, so that changes after an import fit too."""
