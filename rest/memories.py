"""Memories over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlencode

from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from rest.http import BULK_BODY_LIMIT, call_of, read, read_if_any, read_query, reply, reply_sized, single_value
from rest.project_param import InProject, OfUser, project_of
from rest.views import StoredObject
from server.buckets import Bucket
from server.domain.memory import memories, versions
from server.domain.memory.budget import size_of
from server.domain.memory.filters import Filters
from server.domain.memory.labels import TagList
from server.domain.memory.memories import ListRequest, MemoryChange, MemoryPage, NewMemory
from server.domain.memory.parameters import HistoryLimit, Offset, PageLimit, VersionNumber
from server.domain.memory.versions import Version, VersionPage
from server.errors import Invalid
from server.models import Memory
from server.runtime import State

MemoryId = Annotated[str, StringConstraints(pattern=r"^mem_[0-9a-f]{32}$")]


class ListedMemory(BaseModel):
    id: str
    content: str
    metadata: StoredObject
    user_id: str | None
    project_id: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, memory: Memory) -> Self:
        return cls(
            id=memory.id,
            content=memory.content,
            metadata=memory.details,
            user_id=memory.user_id,
            project_id=memory.project_id,
            created_at=memory.created_at,
            updated_at=memory.updated_at,
        )


class MemoryView(ListedMemory):
    messages: list[dict[str, str]] | None = Field(
        default=None, exclude_if=lambda value: value is None, description="the messages in full, when several were sent"
    )

    @classmethod
    def of(cls, memory: Memory) -> Self:
        view = super().of(memory)
        view.messages = memory.messages
        return view


class MemoryOperation(BaseModel):
    id: str
    memory: str
    event: Literal["ADD"] = "ADD"


class MemoryCreated(BaseModel):
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
    next: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="where the page goes on: the path and query. Present if the page has more than 4 MB",
    )

    @classmethod
    def of(cls, page: MemoryPage, query: "ListQuery") -> Self:
        results = [ListedMemory.of(memory) for memory in page.memories]
        following = query.following(results) if page.is_cut else None
        return cls(results=results, total=page.total, limit=query.limit, offset=query.offset, next=following)


class VersionView(BaseModel):
    version: int
    content: str
    metadata: StoredObject
    updated_at: datetime
    updated_by: str | None

    @classmethod
    def of(cls, version: Version) -> Self:
        return cls(
            version=version.version,
            content=version.content,
            metadata=version.details,
            updated_at=version.updated_at,
            updated_by=version.updated_by,
        )


class MemoryHistory(BaseModel):
    results: list[VersionView] = Field(description="newest first; the first one is the current version")
    next: str | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="the path and query of the versions before these. Present if there are any",
    )

    @classmethod
    def of(cls, page: VersionPage, memory_id: str, limit: int) -> Self:
        results = [VersionView.of(version) for version in page.versions]
        if not page.has_more:
            return cls(results=results)
        following = urlencode({"limit": limit, "before": results[-1].version})
        return cls(results=results, next=f"/api/memories/{memory_id}/history?{following}")


class Deleted(BaseModel):
    message: str


class DeletedAll(BaseModel):
    message: str
    deleted_count: int


class StatsView(BaseModel):
    total: int
    this_week: int = Field(description="created since Monday, UTC")
    tag_count: int = Field(description="how many different tags")


class CreatedReference(BaseModel):
    memory_id: str


class BatchCreated(BaseModel):
    results: list[CreatedReference] = Field(description="in the order of the request")
    message: str


class ListQuery(OfUser):
    limit: PageLimit = 10
    offset: Offset = 0
    before: MemoryId | None = Field(default=None, description="only memories older than this one, for paging by id")
    tags: TagList = Field(default=(), description="any of them; comma-separated, or given several times")
    match_all_tags: bool = False
    people_mentioned: TagList = Field(default=(), description="any of them; comma-separated, or given several times")
    topic_category: str | None = None

    def list_request(self) -> ListRequest:
        filters = Filters(
            user_id=self.user_id,
            tags=self.tags,
            match_all_tags=self.match_all_tags,
            people=self.people_mentioned,
            category=self.topic_category,
        )
        return ListRequest(filters, self.limit, self.offset, self.before, self.project_id)

    def following(self, listed: Sequence[ListedMemory]) -> str:
        """Return the path and query for what is left of this page after the memories that were listed."""
        left = {"limit": self.limit - len(listed), "offset": 0, "before": listed[-1].id}
        given = self.model_copy(update=left).model_dump(mode="json", exclude_defaults=True)
        return f"/api/memories?{urlencode(given | {'limit': left['limit']}, doseq=True)}"


class HistoryQuery(BaseModel):
    limit: HistoryLimit = 20
    before: VersionNumber | None = Field(default=None, description="only versions before this one")


class Batch(InProject):
    memories: list[NewMemory] = Field(min_length=1, max_length=1000)


async def create(request: Request[State]) -> Response:
    """Store one memory. The next search finds it."""
    call = await call_of(request, Bucket.MEMORY_ADD)
    new = await read(request, NewMemory)
    new = in_project(new, project_of(request, new.project_id))
    memory_id = await call.run(memories.add, new, call.index, idempotency_key(request))
    return reply(MemoryCreated.of(memory_id, new.content))


async def create_batch(request: Request[State]) -> Response:
    """Store up to 1000 memories: all of them or none."""
    call = await call_of(request, Bucket.MEMORY_ADD)
    async with call.runtime.pools.bodies.slot(call.caller):
        batch = await read(request, Batch, BULK_BODY_LIMIT)
        project_id = project_of(request, batch.project_id, *(new.project_id for new in batch.memories))
        news = [in_project(new, project_id) for new in batch.memories]
        ids = await call.run(memories.add_many, news, call.index, idempotency_key(request))
    created = [CreatedReference(memory_id=memory_id) for memory_id in ids]
    return reply(BatchCreated(results=created, message=f"{count_of(len(ids))} created"))


async def list_all(request: Request[State]) -> Response:
    """List memories, newest first."""
    call = await call_of(request)
    query = read_query(request, ListQuery)
    page = await call.read(memories.list_memories, query.list_request())
    return await reply_sized(request, page.size, lambda: MemoryList.of(page, query))


async def get(request: Request[State]) -> Response:
    """Read one memory."""
    call = await call_of(request)
    memory = await call.read(memories.get, request.path_params["memory_id"])
    return await reply_with(request, memory)


async def update(request: Request[State]) -> Response:
    """Replace a memory's text, its metadata or both. The history keeps the earlier version."""
    call = await call_of(request, Bucket.MEMORY_CHANGE)
    change = await read(request, MemoryChange)
    memory = await call.run(memories.update, request.path_params["memory_id"], change, call.index)
    return await reply_with(request, memory)


async def history(request: Request[State]) -> Response:
    """Read the versions of a memory: the current one and the last 50 before it, newest first."""
    call = await call_of(request)
    query = read_query(request, HistoryQuery)
    memory_id = request.path_params["memory_id"]
    page = await call.read(versions.history, memory_id, query.limit, query.before)
    return await reply_sized(request, page.size, lambda: MemoryHistory.of(page, memory_id, query.limit))


async def delete(request: Request[State]) -> Response:
    """Delete a memory with all its versions."""
    call = await call_of(request)
    await call.run(memories.delete, request.path_params["memory_id"])
    return reply(Deleted(message="Memory deleted successfully"))


async def delete_all(request: Request[State]) -> Response:
    """Delete all memories of the project, or of one of its end users. This cannot be undone."""
    call = await call_of(request)
    query, body = read_query(request, OfUser), await read_if_any(request, OfUser)
    project_id = single_value("project_id", query.project_id, body.project_id)
    user_id = single_value("user_id", query.user_id, body.user_id)
    count = await call.run(memories.delete_all, project_id, user_id)
    return reply(DeletedAll(message=f"{count_of(count)} deleted", deleted_count=count))


async def stats(request: Request[State]) -> Response:
    """Count memories and tags."""
    call = await call_of(request)
    counts = await call.read(memories.stats, project_of(request))
    return reply(StatsView(total=counts.total, this_week=counts.this_week, tag_count=counts.tag_count))


async def reply_with(request: Request[State], memory: Memory) -> Response:
    # The messages repeat the text.
    return await reply_sized(request, 2 * size_of(memory.content, memory.details), lambda: MemoryView.of(memory))


def in_project(new: NewMemory, project_id: str | None) -> NewMemory:
    return new.model_copy(update={"project_id": project_id})


def idempotency_key(request: Request[State]) -> str | None:
    """Return the Idempotency-Key header. Raises Invalid."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Invalid("must be 1 to 255 printable ASCII characters.", field="Idempotency-Key")
    return key


def count_of(count: int) -> str:
    return "1 memory" if count == 1 else f"{count} memories"
