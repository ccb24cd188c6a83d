"""Memories over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from rest.http import BULK_BODY_LIMIT, call_of, read, read_if_any, read_query, reply, single_value
from rest.project_param import InProject, OfUser, project_of
from rest.views import StoredObject
from server.buckets import Bucket
from server.domain.memory import memories
from server.domain.memory.filters import Filters
from server.domain.memory.labels import TagList
from server.domain.memory.memories import ListRequest, MemoryChange, NewMemory
from server.domain.memory.parameters import Offset, PageLimit
from server.errors import Invalid
from server.models import Memory, MemoryVersion
from server.runtime import State

MemoryId = Annotated[str, StringConstraints(pattern=r"^mem_[0-9a-f]{32}$")]


class MemoryView(BaseModel):
    id: str
    content: str
    metadata: StoredObject
    user_id: str | None
    project_id: str
    created_at: datetime
    updated_at: datetime
    messages: list[dict[str, str]] | None = Field(
        default=None, exclude_if=lambda value: value is None, description="the messages in full, when several were sent"
    )

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
            messages=memory.messages,
        )


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
    results: list[MemoryView]
    total: int = Field(description="how many match the filters, on all pages")
    limit: int
    offset: int


class VersionView(BaseModel):
    version: int
    content: str
    metadata: StoredObject
    updated_at: datetime
    updated_by: str | None

    @classmethod
    def of(cls, version: MemoryVersion) -> Self:
        return cls(
            version=version.version,
            content=version.content,
            metadata=version.details,
            updated_at=version.updated_at,
            updated_by=version.updated_by,
        )


class MemoryHistory(BaseModel):
    results: list[VersionView] = Field(description="newest first; the first one is the current version")


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
    results = [MemoryView.of(memory) for memory in page.memories]
    return reply(MemoryList(results=results, total=page.total, limit=query.limit, offset=query.offset))


async def get(request: Request[State]) -> Response:
    """Read one memory."""
    call = await call_of(request)
    memory = await call.read(memories.get, request.path_params["memory_id"])
    return reply(MemoryView.of(memory))


async def update(request: Request[State]) -> Response:
    """Replace a memory's text, its metadata or both. The history keeps the earlier version."""
    call = await call_of(request, Bucket.MEMORY_CHANGE)
    change = await read(request, MemoryChange)
    memory = await call.run(memories.update, request.path_params["memory_id"], change, call.index)
    return reply(MemoryView.of(memory))


async def history(request: Request[State]) -> Response:
    """Read all versions of a memory."""
    call = await call_of(request)
    versions = await call.read(memories.history, request.path_params["memory_id"])
    return reply(MemoryHistory(results=[VersionView.of(version) for version in versions]))


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
