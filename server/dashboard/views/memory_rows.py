"""The rows of a list of memories."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from server.dashboard.excerpts import Part, excerpt, is_conversation
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, distinct, parse_list
from server.domain.memory.pages.strength import Strength
from server.domain.memory.search import SearchResult
from server.models import Memory


class Row(NamedTuple):
    """A memory in a list. `result` and `strength` are set for the results of a search."""

    memory: Memory
    excerpt: Sequence[Part]
    is_conversation: bool
    tags: Sequence[str]
    people: Sequence[str]
    category: str | None
    result: SearchResult | None = None
    strength: Strength | None = None

    @property
    def created_at(self) -> datetime:
        return self.memory.created_at

    @classmethod
    def of(cls, memory: Memory, parts: Sequence[Part] | None = None) -> "Row":
        """Return the row of a memory. Without `parts`, it shows the beginning of the text."""
        details = memory.details
        category = details.get(CATEGORY)
        return cls(
            memory,
            excerpt(memory) if parts is None else parts,
            is_conversation(memory),
            distinct(parse_list(details.get(TAGS))),
            distinct(parse_list(details.get(PEOPLE))),
            category if isinstance(category, str) else None,
        )

    @classmethod
    def of_result(cls, result: SearchResult, strength: Strength, question: str) -> "Row":
        """Return the row of a result. Mark only a passage that is really close."""
        piece = "" if strength is Strength.WEAK else result.piece
        row = cls.of(result.memory, excerpt(result.memory, question, piece))
        return row._replace(result=result, strength=strength)
