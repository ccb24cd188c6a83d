"""Search over HTTP: the request with its filters, and the results."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from rest.http import late_call_of, read, reply_sized, single_value
from rest.memory_views import ALL_TAGS, IN_CATEGORY, PINNED
from rest.project_param import OfUser, project_of
from rest.views import StoredObject, left_out_if
from server.buckets import Bucket
from server.domain.memory import search
from server.domain.memory.filters import Filters
from server.domain.memory.labels import TagList
from server.domain.memory.metadata import Metadata
from server.domain.memory.parameters import Limit, Query, Threshold
from server.domain.memory.periods import VOCABULARY, period_between
from server.domain.memory.search import SearchPage, SearchRequest, SearchResult, SortBy
from server.domain.memory.source import BY_SOURCE, SourceFilter
from server.shell.runtime import State

DEFAULT_LIMIT = 10


class WithoutNulls(BaseModel):
    """Treats a null field as absent."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: object) -> object:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body


class SearchFilters(WithoutNulls, OfUser):
    limit: Limit | None = Field(default=None, description="the maximum number of results; 10 by default")
    tags: TagList = Field(default=(), description="only memories with any of these tags")
    match_all_tags: bool = Field(default=False, description=ALL_TAGS)
    people_mentioned: TagList = Field(default=(), description="only memories that mention any of these people")
    topic_category: str | None = Field(default=None, description=IN_CATEGORY)
    temporal_filter: str | None = Field(default=None, description=VOCABULARY)
    timezone: str = Field(default="UTC", description="an IANA name; days begin at midnight in this time zone")
    created_after: str | None = Field(default=None, description="only memories from this ISO 8601 date or time on")
    created_before: str | None = Field(
        default=None, description="only memories before this ISO 8601 date or time; a date excludes that day"
    )
    metadata: Metadata = Field(
        default_factory=dict, description="only memories whose metadata has exactly these values"
    )
    source: SourceFilter | None = Field(default=None, description=BY_SOURCE)
    pinned: bool | None = Field(default=None, description=PINNED)
    threshold: Threshold | None = Field(
        default=None,
        description="the minimum score; 0 returns everything; by default, chance matches are left out",
    )
    sort_by: SortBy = Field(default=SortBy.RELEVANCE, description="timestamp: the newest of the results first")
    include_metadata: bool = Field(default=True, description="false leaves metadata out of the results")
    explain: bool = Field(default=False, description="true adds to each result why it matches")


class Search(SearchFilters):
    query: Query = Field(description="a question or keywords; if empty or `*`, the newest memories")
    filters: SearchFilters = Field(
        default_factory=SearchFilters, description="filters may be here, at the top level, or in both places"
    )

    @model_validator(mode="after")
    def _merge_filters(self) -> Self:
        """Move the fields of `filters` to the top level. Raises Invalid if two places give different values."""
        for name in self.filters.model_fields_set:
            inner = getattr(self.filters, name)
            if name in self.model_fields_set:
                single_value(name, getattr(self, name), inner)
            setattr(self, name, inner)
        return self

    def search_request(self, project_id: str | None) -> SearchRequest:
        """Raises Invalid for a period that cannot be read."""
        period = period_between(self.temporal_filter, self.timezone, self.created_after, self.created_before)
        filters = Filters(
            user_id=self.user_id,
            tags=self.tags,
            match_all_tags=self.match_all_tags,
            people=self.people_mentioned,
            category=self.topic_category,
            created_from=period.start,
            created_until=period.end,
            metadata=self.metadata,
            source=self.source,
            pinned=self.pinned,
        )
        limit = DEFAULT_LIMIT if self.limit is None else self.limit
        return SearchRequest(self.query, filters, limit, self.threshold, self.sort_by, project_id)


class MatchView(BaseModel):
    similarity: float = Field(description="how close the memory's closest piece is to the query in meaning")
    words: float = Field(description="how well the memory matches the words of the query")
    window: float = Field(description="how well the memories before and after it match the words of the query")
    piece: str = Field(description="the part of the memory that matches best")

    @classmethod
    def of(cls, result: SearchResult) -> Self:
        return cls(similarity=result.similarity, words=result.share, window=result.window, piece=result.piece)


class FoundView(BaseModel):
    id: str
    content: str
    score: float = Field(ge=0, le=1)
    metadata: StoredObject | None = left_out_if(None)
    created_at: datetime
    user_id: str | None
    duplicates: int = left_out_if(0, "how many other memories of the same user have the same text; this is the newest")
    match: MatchView | None = left_out_if(None)

    @classmethod
    def of(cls, result: SearchResult, *, metadata: bool = True, explain: bool = False) -> Self:
        memory = result.memory
        return cls(
            id=memory.id,
            content=memory.content,
            score=result.score,
            metadata=memory.details if metadata else None,
            created_at=memory.created_at,
            user_id=memory.user_id,
            duplicates=result.duplicates,
            match=MatchView.of(result) if explain else None,
        )


class FoundList(BaseModel):
    results: list[FoundView]
    omitted: int = left_out_if(0, "how many results within the limit did not fit into the answer's 4 MB")
    weak: bool = left_out_if(False, "true if even the best result scores no higher than an unrelated question would")

    @classmethod
    def of(cls, page: SearchPage, *, metadata: bool = True, explain: bool = False) -> Self:
        results = [FoundView.of(result, metadata=metadata, explain=explain) for result in page.results]
        return cls(results=results, omitted=page.omitted, weak=page.weak)


async def find(request: Request[State]) -> Response:
    """Search memories by meaning and words."""
    async with late_call_of(request, Bucket.MEMORY_SEARCH) as call:
        body = await read(request, Search)
        search_request = body.search_request(await project_of(request, call, body))
        page = await call.read(search.search, search_request, call.index)
    return await reply_sized(
        request, page.size, lambda: FoundList.of(page, metadata=body.include_metadata, explain=body.explain)
    )
