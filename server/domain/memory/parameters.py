"""What callers may ask with: the types by which every door reads a search or a page of a list."""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from server.domain.memory.metadata import CONTENT_LENGTH


def parse_number(given: object) -> object:
    """JSON's true is no number, though Python counts it as 1."""
    if isinstance(given, bool):
        raise ValueError("must be a number")
    return given


Query = Annotated[str, StringConstraints(max_length=CONTENT_LENGTH)]
Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(parse_number)]
Threshold = Annotated[float, Field(ge=0, le=1), BeforeValidator(parse_number)]
PageLimit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=1_000_000_000)]
