"""The query string of a list's URL: the search, the filters, the order, and where the page begins."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from server.domain.memory.filters import Filters
from server.domain.memory.labels import TagList, as_text
from server.domain.memory.metadata import CONTENT_LENGTH
from server.domain.memory.periods import period_between
from server.domain.memory.source import SourceFilter

MAX_RESULTS = 100
"""Maximum number of results of a search. Assistants have the same limit."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Optional = Annotated[Text | None, BeforeValidator(lambda value: value or None)]
OptionalSource = Annotated[SourceFilter | None, BeforeValidator(lambda value: value or None)]


class Order(StrEnum):
    BEST = "best"
    NEWEST = "newest"


class Chosen(NamedTuple):
    """An active filter: its parameter, its value, and the query string without it."""

    parameter: str
    value: str
    query_without: str


class ListQuery(BaseModel):
    """The query of the URL. `sort` applies to searches; a list is always newest first."""

    q: Annotated[str, StringConstraints(strip_whitespace=True, max_length=CONTENT_LENGTH)] = ""
    tags: TagList = ()
    all_tags: bool = False
    people: TagList = ()
    category: Optional = None
    source: OptionalSource = None
    pinned: bool = False
    when: Optional = None
    user: Optional = None
    timezone: Text = "UTC"
    sort: Order = Order.BEST
    before: Annotated[str | None, StringConstraints(pattern=r"^mem_[0-9a-f]{32}$")] = None
    skip: int = Field(default=0, ge=0, lt=MAX_RESULTS, description="results on the previous pages")

    def filters(self) -> Filters:
        """Raises Invalid."""
        period = period_between(self.when, self.timezone)
        return Filters(
            self.user, self.tags, self.all_tags, self.people, self.category, period.start, period.end,
            source=self.source, pinned=self.pinned or None,
        )  # fmt: skip

    @property
    def is_plain(self) -> bool:
        """Whether the list shows all memories."""
        return not self.q and not self.is_filtered

    @property
    def is_filtered(self) -> bool:
        return bool(self.chosen)

    @property
    def chosen(self) -> list[Chosen]:
        """The active filters, one entry per value."""
        lists = [("tags", self.tags), ("people", self.people)]
        several = [
            Chosen(name, value, self.query(**{name: _joined([other for other in values if other != value])}))
            for name, values in lists
            for value in values
        ]
        singles = {"category": self.category, "source": self.source, "when": self.when, "user": self.user}
        if self.pinned:
            singles["pinned"] = "1"
        return several + [Chosen(name, value, self.query(**{name: None})) for name, value in singles.items() if value]

    def having(self, parameter: str, value: str) -> str:
        """Return the query string with a filter for this value added."""
        if parameter == "tags":
            return self.query(tags=_joined([*self.tags, value]), all_tags="1" if self.tags else None)
        return self.query(**{parameter: _joined([value]) if parameter == "people" else value})

    def query(self, **changes: str | int | None) -> str:
        """Return the query string with these parameters changed or added."""
        parameters: dict[str, str | int | None] = {
            "q": self.q or None,
            "tags": _joined(self.tags),
            "all_tags": "1" if self.all_tags else None,
            "people": _joined(self.people),
            "category": self.category,
            "source": self.source,
            "pinned": "1" if self.pinned else None,
            "when": self.when,
            "user": self.user,
            "timezone": self.timezone if self.when else None,
            "sort": self.sort.value if self.sort is not Order.BEST else None,
        }
        return "?" + urlencode({key: value for key, value in (parameters | changes).items() if value is not None})


def _joined(values: Sequence[str]) -> str | None:
    return as_text(values) or None
