"""The memories of a project: newest first, or as search results with their scores."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from starlette.responses import Response

from server.dashboard.fields import parse_fields
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

PAGE_SIZE = 25
EXCERPT_LENGTH = 280
MAX_RESULTS = 100
"""The same limit that assistants have."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Optional = Annotated[Text | None, BeforeValidator(lambda value: value or None)]


class ListQuery(BaseModel):
    """The query of the address: search text, filters, and the start of the page."""

    q: Annotated[str, StringConstraints(strip_whitespace=True, max_length=CONTENT_LENGTH)] = ""
    tags: TagList = ()
    all_tags: bool = False
    people: TagList = ()
    category: Optional = None
    when: Optional = None
    user: Optional = None
    timezone: Text = "UTC"
    before: Annotated[str | None, StringConstraints(pattern=r"^mem_[0-9a-f]{32}$")] = None
    skip: int = Field(default=0, ge=0, lt=MAX_RESULTS, description="results on the previous pages")

    def filters(self) -> Filters:
        """Raises Invalid."""
        period = period_between(self.when, self.timezone)
        return Filters(self.user, self.tags, self.all_tags, self.people, self.category, period.start, period.end)

    @property
    def is_filtered(self) -> bool:
        return bool(self.tags or self.people or self.category or self.when or self.user)

    def query(self, **changes: str | int | None) -> str:
        """Return the query string with these parameters changed or added."""
        parameters: dict[str, str | int | None] = {
            "q": self.q or None,
            "tags": ",".join(self.tags) or None,
            "all_tags": "1" if self.all_tags else None,
            "people": ",".join(self.people) or None,
            "category": self.category,
            "when": self.when,
            "user": self.user,
            "timezone": self.timezone if self.when else None,
        }
        return "?" + urlencode({key: value for key, value in (parameters | changes).items() if value is not None})


class Excerpt(NamedTuple):
    """A part of a memory's text. `matched` is the best match of a search, and empty in a list."""

    before: str
    matched: str
    after: str


class Row(NamedTuple):
    """A memory in a list. `result` has the scores of a search."""

    id: str
    excerpt: Excerpt
    created_at: datetime
    tags: Sequence[str]
    people: Sequence[str]
    category: str | None
    user_id: str | None
    result: SearchResult | None = None

    @classmethod
    def of(cls, memory: Memory, result: SearchResult | None = None) -> "Row":
        details = memory.details
        category = details.get(CATEGORY)
        return cls(
            memory.id,
            excerpt(memory.content, result.piece if result else ""),
            memory.created_at,
            parse_list(details.get(TAGS)),
            parse_list(details.get(PEOPLE)),
            category if isinstance(category, str) else None,
            memory.user_id,
            result,
        )


class RowPage(NamedTuple):
    """One page of rows. `total` is None for a search, whose best result may be `weak`.

    `next` and `previous` are the query parameters of the neighboring pages; None when there is no such page.
    """

    rows: Sequence[Row]
    total: int | None
    next: Mapping[str, str | int] | None = None
    previous: Mapping[str, str | int] | None = None
    weak: bool = False


async def show(request: PageRequest, deleted: Memory | None = None) -> Response:
    """Show the list. `deleted` is a memory that was just deleted, which the page offers to restore.

    An invalid filter is reported on the page.
    """
    project_id = deleted.project_id if deleted else request.project_id
    query, results = ListQuery(), RowPage([], 0)
    try:
        query = ListQuery() if deleted else parse_fields(ListQuery, dict(request.http.query_params))
        results = await _row_page(request, project_id, query)
    except (Invalid, RateLimited) as problem:
        request = request.with_problem(problem)
    kept = restore_form(deleted) if deleted else request.text("kept") or None
    return await request.render("memories.html", project_id, query=query, results=results, kept=kept)


def restore_form(memory: Memory) -> str:
    """Return the memory as JSON for a form that restores it, or adds it again if no trash has kept it."""
    messages: list[JSON] = [{**message} for message in memory.messages or [{"role": "user", "content": memory.content}]]
    fields: JsonObject = {
        "messages": messages,
        "metadata": memory.details,
        "user_id": memory.user_id,
        "created_at": memory.created_at.isoformat(),
        "project_id": memory.project_id,
        "id": memory.id,
        "pinned": memory.pinned,
        "expires_at": memory.expires_at.isoformat() if memory.expires_at else None,
    }
    return NewMemory.model_validate(fields).model_dump_json()


def excerpt(content: str, piece: str = "") -> Excerpt:
    """Return about EXCERPT_LENGTH characters, with the piece that matched best in the middle."""
    start = content.find(piece) if piece != content else -1
    if start < 0 or not piece:
        return Excerpt(_shorten(content, EXCERPT_LENGTH), "", "")
    matched = piece[:EXCERPT_LENGTH]
    room = (EXCERPT_LENGTH - len(matched)) // 2
    before, after = content[:start], content[start + len(matched) :]
    if len(before) > room:
        ending = before[len(before) - room :]
        before = "…" + (ending.partition(" ")[2] or ending)
    return Excerpt(before, matched, _shorten(after, room))


async def _row_page(request: PageRequest, project_id: str, query: ListQuery) -> RowPage:
    """Raises Invalid for a filter, RateLimited."""
    if query.q:
        return await _search_page(request, project_id, query)
    list_request = ListRequest(query.filters(), PAGE_SIZE + 1, before=query.before, project_id=project_id)
    page = await request.call.read(memories.list_memories, list_request)
    shown = page.memories[:PAGE_SIZE]
    older = {"before": shown[-1].id} if len(page.memories) > PAGE_SIZE or page.is_cut else None
    newest: dict[str, str | int] | None = {} if query.before else None
    return RowPage([Row.of(memory) for memory in shown], page.total, older, newest)


async def _search_page(request: PageRequest, project_id: str, query: ListQuery) -> RowPage:
    limit = min(query.skip + PAGE_SIZE + 1, MAX_RESULTS)
    search_request = SearchRequest(query.q, query.filters(), limit, project_id=project_id, skip=query.skip)
    page = await request.call.read(search.search, search_request, request.call.index)
    rows = [Row.of(result.memory, result) for result in page.results[:PAGE_SIZE]]
    following = {"skip": query.skip + len(rows)} if len(page.results) > PAGE_SIZE or page.omitted else None
    previous = {"skip": max(query.skip - PAGE_SIZE, 0)} if query.skip else None
    return RowPage(rows, None, following, previous, page.weak)


def _shorten(text: str, room: int) -> str:
    """Return as many whole words as fit into `room` characters."""
    beginning = text[:room]
    return text if len(text) <= room else (beginning.rpartition(" ")[0] or beginning) + "…"
