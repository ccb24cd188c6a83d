"""A project's memories: newest first, or searched as an assistant would, with the score and why it matched."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from starlette.responses import Response

from server.dashboard.fields import checked
from server.dashboard.pages import PageRequest
from server.domain.memory import memories, search
from server.domain.memory.filters import Filters
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, TagList, parse_list
from server.domain.memory.memories import ListRequest, NewMemory
from server.domain.memory.metadata import CONTENT_LENGTH
from server.domain.memory.periods import period_between
from server.domain.memory.search import SearchRequest, SearchResult
from server.errors import Invalid, RateLimited
from server.models import Memory
from server.models.base import JSON, JsonObject

PAGE = 25
EXCERPT = 280
MOST_RESULTS = 100
"""As many as an assistant can ask for."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Optional = Annotated[Text | None, BeforeValidator(lambda given: given or None)]


class Wanted(BaseModel):
    """The address's query: what is searched for, the filters, and where a page begins."""

    q: Annotated[str, StringConstraints(strip_whitespace=True, max_length=CONTENT_LENGTH)] = ""
    tags: TagList = ()
    all_tags: bool = False
    people: TagList = ()
    category: Optional = None
    when: Optional = None
    user: Optional = None
    timezone: Text = "UTC"
    before: Annotated[str | None, StringConstraints(pattern=r"^mem_[0-9a-f]{32}$")] = None
    skip: int = Field(default=0, ge=0, le=MOST_RESULTS - PAGE, description="better results that were shown before")

    def filters(self) -> Filters:
        """Raises Invalid."""
        period = period_between(self.when, self.timezone)
        return Filters(self.user, self.tags, self.all_tags, self.people, self.category, period.start, period.end)

    @property
    def is_filtered(self) -> bool:
        return bool(self.tags or self.people or self.category or self.when or self.user)

    def query(self, **other: str | int | None) -> str:
        """The same address with something else in it."""
        given: dict[str, str | int | None] = {
            "q": self.q or None,
            "tags": ",".join(self.tags) or None,
            "all_tags": "1" if self.all_tags else None,
            "people": ",".join(self.people) or None,
            "category": self.category,
            "when": self.when,
            "user": self.user,
            "timezone": self.timezone if self.when else None,
        }
        return "?" + urlencode({key: value for key, value in (given | other).items() if value is not None})


class Excerpt(NamedTuple):
    """A part of the text around what matched; `matched` is empty in a list."""

    before: str
    matched: str
    after: str


class Row(NamedTuple):
    """A memory in a list; `found` when it was searched for."""

    id: str
    excerpt: Excerpt
    created_at: datetime
    tags: Sequence[str]
    people: Sequence[str]
    category: str | None
    user_id: str | None
    found: SearchResult | None = None

    @classmethod
    def of(cls, memory: Memory, found: SearchResult | None = None) -> "Row":
        details = memory.details
        category = details.get(CATEGORY)
        return cls(
            memory.id,
            excerpt(memory.content, found.piece if found else ""),
            memory.created_at,
            parse_list(details.get(TAGS)),
            parse_list(details.get(PEOPLE)),
            category if isinstance(category, str) else None,
            memory.user_id,
            found,
        )


class Results(NamedTuple):
    """What a page lists; `total` is None for a search, which has no end but its limit.

    `further` is what the address of the next page has, `back` what that of the one before has, None when there is none.
    """

    rows: Sequence[Row]
    total: int | None
    further: Mapping[str, str | int] | None = None
    back: Mapping[str, str | int] | None = None


async def show(visit: PageRequest, removed: Memory | None = None) -> Response:
    """The list, whatever came of the last action; a filter that cannot be read is said on the page."""
    project_id = removed.project_id if removed else visit.path("project_id")
    wanted, results = Wanted(), Results([], 0)
    try:
        wanted = Wanted() if removed else checked(Wanted, dict(visit.request.query_params))
        results = await _results(visit, project_id, wanted)
    except (Invalid, RateLimited) as problem:
        visit = visit.refused(problem)
    kept = kept_form(removed) if removed else visit.text("kept") or None
    return await visit.page("memories.html", project_id, wanted=wanted, results=results, kept=kept)


def kept_form(memory: Memory) -> str:
    """All that is needed to add the memory again, as JSON for a form: the server keeps nothing of what was deleted."""
    said: list[JSON] = [{**message} for message in memory.messages or [{"role": "user", "content": memory.content}]]
    kept: JsonObject = {"messages": said, "metadata": memory.details, "user_id": memory.user_id}
    new = NewMemory.model_validate(
        kept | {"created_at": memory.created_at.isoformat(), "project_id": memory.project_id}
    )
    return new.model_dump_json()


def excerpt(content: str, piece: str = "") -> Excerpt:
    """At most about EXCERPT characters, with the piece that matched best in the middle."""
    start = content.find(piece) if piece != content else -1
    if start < 0 or not piece:
        return Excerpt(_clipped(content, EXCERPT), "", "")
    matched = piece[:EXCERPT]
    room = (EXCERPT - len(matched)) // 2
    before, after = content[:start], content[start + len(matched) :]
    if len(before) > room:
        ending = before[len(before) - room :]
        before = "…" + (ending.partition(" ")[2] or ending)
    return Excerpt(before, matched, _clipped(after, room))


async def _results(visit: PageRequest, project_id: str, wanted: Wanted) -> Results:
    filters = wanted.filters()
    if wanted.q:
        end = wanted.skip + PAGE
        asked = SearchRequest(wanted.q, filters, min(end + 1, MOST_RESULTS), project_id=project_id)
        found = await visit.call.read(search.search, asked, visit.call.index)
        rows = [Row.of(one.memory, one) for one in found[wanted.skip : end]]
        back = {"skip": max(wanted.skip - PAGE, 0)} if wanted.skip else None
        return Results(rows, None, {"skip": end} if len(found) > end else None, back)
    listing = ListRequest(filters, PAGE + 1, before=wanted.before, project_id=project_id)
    page = await visit.call.read(memories.list_memories, listing)
    shown = page.memories[:PAGE]
    older = {"before": shown[-1].id} if len(page.memories) > PAGE else None
    return Results([Row.of(memory) for memory in shown], page.total, older, {} if wanted.before else None)


def _clipped(text: str, room: int) -> str:
    """The beginning, as many whole words as there is room for."""
    beginning = text[:room]
    return text if len(text) <= room else (beginning.rpartition(" ")[0] or beginning) + "…"
