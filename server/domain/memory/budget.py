"""Limits the size of an answer. Reads from SQL stop when the answer is full."""

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.orm import defer

from server.models import Memory
from server.models.base import JsonObject
from server.storage.statements import Row, columns_of, detached

ANSWER_BYTES = 4_000_000
ANSWER_ROOM = 1_000
"""Bytes that are reserved for the parts of an answer around its results."""

FIELD_BYTES = 1_000
"""Maximum number of bytes that a door adds to a text and its metadata: ids, times, scores, a title, a URL."""

ROWS_PER_READ = 10
"""How many memories to read at a time. One may have several megabytes."""

WITHOUT_MESSAGES = defer(Memory.messages, raiseload=True)  # type: ignore[arg-type]  # SQLModel types columns by their value
"""Query options that leave out the messages of a memory, because they repeat its text."""

LISTED_COLUMNS = [sa.null() if column.key == "messages" else column for column in columns_of(Memory)]
"""The columns of a memory without its messages."""


class Fitting(NamedTuple):
    """The memories that fit, their size in an answer, and whether another one did not fit."""

    memories: list[Memory]
    size: int
    is_cut: bool


class Budget:
    """Counts what was put into an answer. The first item always fits, so that every page makes progress."""

    def __init__(self, limit: int = ANSWER_BYTES) -> None:
        self.limit = limit - ANSWER_ROOM
        self.used = 0

    def take(self, size: int) -> bool:
        """Return whether something of `size` bytes fits, and count it if so."""
        if self.used and self.used + size > self.limit:
            return False
        self.used += size
        return True


def size_of(content: str, details: JsonObject) -> int:
    """Return the maximum size of a memory in an answer, in bytes."""
    return len(to_json(content)) + len(to_json(details)) + FIELD_BYTES


def take_fitting(rows: Iterable[Row], budget: Budget) -> Fitting:
    """Return the first memories that fit. The rows have `LISTED_COLUMNS`."""
    fitting: list[Memory] = []
    for row in rows:
        memory = detached(Memory, row)
        if not budget.take(size_of(memory.content, memory.details)):
            return Fitting(fitting, budget.used, is_cut=True)
        fitting.append(memory)
    return Fitting(fitting, budget.used, is_cut=False)
