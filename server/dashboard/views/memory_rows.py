"""The rows of a list of memories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from server.dashboard.excerpts import Part, excerpt, is_conversation
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, distinct, parse_list
from server.domain.memory.pages.strength import Strength
from server.domain.memory.search import SearchResult
from server.models import Memory


@dataclass(frozen=True)
class Row:
    """A memory in a list. `result` and `strength` are set for the results of a search for `question`.

    Only the template reads the other parts, so that the thread that renders the page works them out.
    """

    memory: Memory
    result: SearchResult | None = None
    strength: Strength | None = None
    question: str = ""

    @property
    def created_at(self) -> datetime:
        return self.memory.created_at

    @property
    def is_weak(self) -> bool:
        return self.strength is Strength.WEAK

    @property
    def excerpt(self) -> Sequence[Part]:
        """The part of the text to show. Only a passage that is really close is marked."""
        piece = self.result.piece if self.result and not self.is_weak else ""
        return excerpt(self.memory, self.question, piece)

    @property
    def is_conversation(self) -> bool:
        return is_conversation(self.memory)

    @cached_property
    def tags(self) -> Sequence[str]:
        return distinct(parse_list(self.memory.details.get(TAGS)))

    @cached_property
    def people(self) -> Sequence[str]:
        return distinct(parse_list(self.memory.details.get(PEOPLE)))

    @property
    def category(self) -> str | None:
        category = self.memory.details.get(CATEGORY)
        return category if isinstance(category, str) else None
