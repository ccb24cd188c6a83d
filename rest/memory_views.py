"""The wire models of requests about memories, and of their answers."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rest.project_param import InProject, OfUser
from rest.views import Created, OfRow, StoredObject, left_out_if
from server.domain.memory.changes import MemoryPatch
from server.domain.memory.expiry import AnyMoment
from server.domain.memory.filters import Filters
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.labels import RepeatedTagList
from server.domain.memory.memories import ListRequest, MemoryPage
from server.domain.memory.parameters import HistoryLimit, Offset, PageLimit, VersionNumber
from server.domain.memory.source import BY_SOURCE, SourceFilter
from server.domain.memory.trash import Trashed, TrashPage
from server.domain.memory.versions import VersionPage
from server.models.sources import Source

MemoryId = Annotated[str, StringConstraints(pattern=r"^mem_[0-9a-f]{32}$")]
THROUGH_WHAT = "the key, application, session or import that wrote it; null if an older server stored it"
REST_OF_PAGE = "path and query for the rest of the page; present if the page has more than 4 MB"
ANY_OF_THEM = "only memories with any of these; separate them with commas or repeat the parameter"
ALL_TAGS = "true: only memories that have all of the tags"
IN_CATEGORY = "only memories of this category"
PINNED = "true: only pinned memories; false: only memories that are not pinned"


class ListedMemory(OfRow):
    id: str
    content: str
    metadata: StoredObject = Field(validation_alias="details")
    user_id: str | None
    project_id: str
    created_at: datetime
    updated_at: datetime
    source: Source | None = Field(description=THROUGH_WHAT)
    expires_at: datetime | None = Field(description="when the memory expires; null means never")
    pinned: bool


class MemoryView(ListedMemory):
    messages: list[dict[str, str]] | None = left_out_if(None, "the messages in full, when several were sent")


class MemoryOperation(BaseModel):
    id: str
    memory: str
    event: Literal["ADD"] = "ADD"


class MemoryCreated(Created):
    success: Literal[True] = True
    message: str = "Memory created successfully"
    memory_id: str
    operations: list[MemoryOperation]

    @classmethod
    def of(cls, memory_id: str, content: str) -> Self:
        return cls(memory_id=memory_id, operations=[MemoryOperation(id=memory_id, memory=content)])


class MemoryList(BaseModel):
    results: list[ListedMemory]
    total: int = Field(description="how many match the filters, on all pages")
    limit: int
    offset: int
    next: str | None = left_out_if(None, REST_OF_PAGE)

    @classmethod
    def of(cls, page: MemoryPage, query: "ListQuery") -> Self:
        results = [ListedMemory.of(memory) for memory in page.memories]
        following = query.following(results) if page.is_cut else None
        return cls(results=results, total=page.total, limit=query.limit, offset=query.offset, next=following)


class VersionView(OfRow):
    version: int
    content: str
    metadata: StoredObject = Field(validation_alias="details")
    updated_at: datetime
    updated_by: str | None
    source: Source | None = Field(description=THROUGH_WHAT)


class MemoryHistory(BaseModel):
    results: list[VersionView] = Field(description="newest first; the first one is the current version")
    next: str | None = left_out_if(None, "path and query for the versions before these; present if there are any")

    @classmethod
    def of(cls, page: VersionPage, memory_id: str, limit: int) -> Self:
        results = [VersionView.of(version) for version in page.versions]
        if not page.has_more:
            return cls(results=results)
        following = urlencode({"limit": limit, "before": results[-1].version})
        return cls(results=results, next=f"/api/memories/{memory_id}/history?{following}")


class Deleted(BaseModel):
    message: str


class TrashedView(ListedMemory):
    deleted_at: datetime
    deleted_by: str | None = Field(description="the user")
    deleted_through: Source | None = Field(description="the key, application or session that deleted it")
    deleted_until: datetime = Field(description="the time until which it can be restored")

    @classmethod
    def of_trashed(cls, trashed: Trashed) -> Self:
        row = trashed.row
        return cls.of(
            trashed.memory,
            deleted_at=row.deleted_at,
            deleted_by=row.deleted_by,
            deleted_through=row.source,
            deleted_until=row.deleted_until,
        )


class TrashList(BaseModel):
    results: list[TrashedView] = Field(description="last deleted first")
    total: int
    next: str | None = left_out_if(None, REST_OF_PAGE)

    @classmethod
    def of(cls, page: TrashPage, query: "TrashQuery") -> Self:
        results = [TrashedView.of_trashed(trashed) for trashed in page.trashed]
        following = query.following(results) if page.is_cut else None
        return cls(results=results, total=page.total, next=following)


class DeletedAll(BaseModel):
    message: str
    deleted_count: int


class StatsView(OfRow):
    total: int
    this_week: int = Field(description="created since Monday, UTC")
    tag_count: int = Field(description="the number of distinct tags")


class CreatedReference(BaseModel):
    memory_id: str


class BatchCreated(Created):
    results: list[CreatedReference] = Field(description="in the order of the request")
    message: str


class ListQuery(OfUser):
    limit: PageLimit = 10
    offset: Offset = 0
    before: MemoryId | None = Field(default=None, description="only memories older than this one, for paging by id")
    tags: RepeatedTagList = Field(default=(), description=ANY_OF_THEM)
    match_all_tags: bool = Field(default=False, description=ALL_TAGS)
    people_mentioned: RepeatedTagList = Field(default=(), description=ANY_OF_THEM)
    topic_category: str | None = Field(default=None, description=IN_CATEGORY)
    source: SourceFilter | None = Field(default=None, description=BY_SOURCE)
    pinned: bool | None = Field(default=None, description=PINNED)

    def list_request(self) -> ListRequest:
        filters = Filters(
            user_id=self.user_id,
            tags=self.tags,
            match_all_tags=self.match_all_tags,
            people=self.people_mentioned,
            category=self.topic_category,
            source=self.source,
            pinned=self.pinned,
        )
        return ListRequest(filters, self.limit, self.offset, self.before, self.project_id)

    def following(self, listed: Sequence[ListedMemory]) -> str:
        """Return the path and query for the rest of this page, after the memories in `listed`."""
        return f"/api/memories?{_rest_of(self, self.limit - len(listed), listed[-1].id)}"


class TrashQuery(OfUser):
    limit: PageLimit = 100
    offset: Offset = 0
    before: AnyMoment = Field(default=None, description="only memories deleted before this time, for paging")

    def following(self, listed: Sequence[TrashedView]) -> str:
        """Return the path and query for the rest of this page, after the memories in `listed`."""
        return f"/api/memories/trash?{_rest_of(self, self.limit - len(listed), listed[-1].deleted_at)}"


def _rest_of(query: ListQuery | TrashQuery, limit: int, before: str | datetime) -> str:
    """Return the query for `limit` more memories, which come before this one."""
    left = query.model_copy(update={"limit": limit, "offset": 0, "before": before})
    given = left.model_dump(mode="json", exclude_defaults=True) | {"limit": limit}
    # A list is JSON text, because an item may have commas.
    return urlencode({name: json.dumps(value) if isinstance(value, list) else value for name, value in given.items()})


class DeletionQuery(InProject):
    permanent: bool = Field(default=False, description="true deletes permanently, even from the trash")


class HistoryQuery(InProject):
    limit: HistoryLimit = 20
    before: VersionNumber | None = Field(default=None, description="only versions before this one")


class Replacement(InProject, MemoryChange):
    """A change of a memory, whose project the body may name."""


class Patch(InProject, MemoryPatch):
    """A merge patch of a memory, whose project the body may name."""


class RestoredVersion(InProject):
    version: VersionNumber | None = Field(
        default=None, description="a version from the history; if left out, the memory comes back from the trash"
    )


class Batch(InProject):
    model_config = ConfigDict(extra="allow")

    memories: list[NewMemory] = Field(min_length=1, max_length=1000)
