"""The routes under /v1 that the published Python client calls. They run the same operations as /api."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply, reply_sized
from rest.project_param import InProject, project_of
from rest.search import FoundList, WithoutNulls
from server.domain.memory import search
from server.domain.memory.filters import Filters
from server.domain.memory.labels import TagList
from server.domain.memory.parameters import Limit, Query
from server.domain.memory.periods import VOCABULARY, period_of, zone_of
from server.domain.memory.search import SearchRequest
from server.shell.runtime import Call, State


def require_some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must have at least one item")
    return values


Some = Annotated[TagList, AfterValidator(require_some)]


class FilteredSearch(WithoutNulls, InProject):
    semantic_query: Query = Field(
        default="", description="a question or keywords; if null or empty, the newest memories"
    )
    limit: Limit = 10


class TemporalSearch(FilteredSearch):
    temporal_query: str = Field(description=VOCABULARY)
    timezone: str = "UTC"


class TagSearch(FilteredSearch):
    tags: Some = Field(description="only memories with any of these tags, or with all of them if match_all is true")
    match_all: bool = False


class PeopleSearch(FilteredSearch):
    people: Some = Field(description="only memories that mention any of these people")


class ServiceHealth(BaseModel):
    status: Literal["healthy"] = "healthy"
    service: Literal["selfmemory"] = "selfmemory"
    timestamp: datetime


async def temporal_search(request: Request[State]) -> Response:
    """Search the memories created in a period of time."""
    call = await call_of(request)
    body = await read(request, TemporalSearch)
    period = period_of(body.temporal_query, zone_of(body.timezone), datetime.now(UTC), "temporal_query")
    filters = Filters(created_from=period.start, created_until=period.end)
    return await _search(request, call, body, filters)


async def tag_search(request: Request[State]) -> Response:
    """Search the memories with certain tags."""
    call = await call_of(request)
    body = await read(request, TagSearch)
    filters = Filters(tags=body.tags, match_all_tags=body.match_all)
    return await _search(request, call, body, filters)


async def people_search(request: Request[State]) -> Response:
    """Search the memories that mention certain people."""
    call = await call_of(request)
    body = await read(request, PeopleSearch)
    filters = Filters(people=body.people)
    return await _search(request, call, body, filters)


async def health(_request: Request[State]) -> Response:
    """Report that the service answers."""
    return reply(ServiceHealth(timestamp=datetime.now(UTC)))


async def _search(request: Request[State], call: Call, body: FilteredSearch, filters: Filters) -> Response:
    project_id = await project_of(request, call, body)
    search_request = SearchRequest(body.semantic_query, filters, body.limit, project_id=project_id)
    page = await call.read(search.search, search_request, call.index)
    return await reply_sized(request, page.size, lambda: FoundList.of(page))
