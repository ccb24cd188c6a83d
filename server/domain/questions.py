"""What callers may ask with: the types by which every door reads a search or a page of a list."""

from typing import Annotated

from pydantic import Field, StringConstraints

from server.domain.metadata import CONTENT_LENGTH

Query = Annotated[str, StringConstraints(max_length=CONTENT_LENGTH)]
Limit = Annotated[int, Field(ge=1, le=100)]
Threshold = Annotated[float, Field(ge=0, le=1)]
PageLimit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=1_000_000_000)]
