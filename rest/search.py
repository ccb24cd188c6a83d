"""Search over HTTP: the request with its filters, and what was found."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from rest.http import agreed, call_of, read, reply
from rest.project_param import Object, OfUser, project_in_query
from server.domain.memory import search
from server.domain.memory.filters import Filters
from server.domain.memory.labels import TagList
from server.domain.memory.metadata import Metadata
from server.domain.memory.parameters import Limit, Query, Threshold
from server.domain.memory.periods import VOCABULARY, period_between
from server.domain.memory.search import SearchRequest, SearchResult, SortBy
from server.runtime import State


class WithoutNulls(BaseModel):
    """A field that is null counts as one that was not sent."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        return {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else given


class SearchFilters(WithoutNulls, OfUser):
    limit: Limit | None = Field(default=None, description="10 when not given")
    tags: TagList = Field(default=(), description="any of them, unless match_all_tags")
    match_all_tags: bool = False
    people_mentioned: TagList = Field(default=(), description="any of them")
    topic_category: str | None = None
    temporal_filter: str | None = Field(default=None, description=VOCABULARY)
    timezone: str = Field(default="UTC", description="an IANA name: where the days of the filters begin")
    created_after: str | None = Field(default=None, description="ISO 8601 date or time, itself included")
    created_before: str | None = Field(default=None, description="ISO 8601 date or time, itself excluded")
    metadata: Metadata = Field(default_factory=dict, description="each key has exactly this value")
    threshold: Threshold | None = Field(default=None, description="the least score")
    sort_by: SortBy = SortBy.RELEVANCE
    include_metadata: bool = Field(default=True, description="false leaves metadata out of the results")
    explain: bool = Field(default=False, description="true adds why each result matched")


class Search(WithoutNulls, OfUser):
    query: Query = Field(description="empty: newest first within the filters")
    filters: SearchFilters = Field(default_factory=SearchFilters)
    people_mentioned: TagList = ()
    limit: Limit | None = None

    def asked(self, project_id: str | None) -> SearchRequest:
        """Raises Invalid for what is said twice and not alike."""
        given = self.filters
        period = period_between(given.temporal_filter, given.timezone, given.created_after, given.created_before)
        filters = Filters(
            user_id=agreed("user_id", self.user_id, given.user_id),
            tags=given.tags,
            match_all_tags=given.match_all_tags,
            people=agreed("people_mentioned", self.people_mentioned or None, given.people_mentioned or None) or (),
            category=given.topic_category,
            created_from=period.start,
            created_until=period.end,
            metadata=given.metadata,
        )
        limit = agreed("limit", self.limit, given.limit) or 10
        project = agreed("project_id", project_id, self.project_id, given.project_id)
        return SearchRequest(self.query, filters, limit, given.threshold, given.sort_by, project)


class MatchView(BaseModel):
    similarity: float = Field(description="how near in meaning the best piece is")
    words: float = Field(description="how well its words match")
    piece: str = Field(description="the part of the memory that matched best")


class FoundView(BaseModel):
    id: str
    content: str
    score: float = Field(ge=0, le=1)
    metadata: Object | None = Field(exclude_if=lambda value: value is None)
    created_at: datetime
    user_id: str | None
    match: MatchView | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, found: SearchResult, *, metadata: bool = True, explain: bool = False) -> Self:
        memory = found.memory
        match = MatchView(similarity=found.similarity, words=found.words, piece=found.piece)
        return cls(
            id=memory.id,
            content=memory.content,
            score=found.score,
            metadata=memory.details if metadata else None,
            created_at=memory.created_at,
            user_id=memory.user_id,
            match=match if explain else None,
        )


class FoundList(BaseModel):
    results: list[FoundView]


async def find(request: Request[State]) -> Response:
    """Search memories by meaning and words."""
    call = await call_of(request)
    body = await read(request, Search)
    found = await call.read(search.search, body.asked(project_in_query(request)), call.index)
    shown = body.filters
    return reply(found_list(found, metadata=shown.include_metadata, explain=shown.explain))


def found_list(found: Sequence[SearchResult], *, metadata: bool = True, explain: bool = False) -> FoundList:
    return FoundList(results=[FoundView.of(one, metadata=metadata, explain=explain) for one in found])
