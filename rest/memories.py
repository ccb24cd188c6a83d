"""Memories over HTTP."""

from starlette.requests import Request
from starlette.responses import Response

from rest.http import (
    BULK_BODY_LIMIT,
    call_of,
    late_call_of,
    read,
    read_if_any,
    read_query,
    reply,
    reply_created,
    reply_sized,
    single_value,
)
from rest.memory_views import (
    Batch,
    BatchCreated,
    CreatedReference,
    Deleted,
    DeletedAll,
    DeletionQuery,
    HistoryQuery,
    ListQuery,
    MemoryCreated,
    MemoryHistory,
    MemoryList,
    MemoryView,
    Patch,
    Replacement,
    RestoredVersion,
    StatsView,
    TrashList,
    TrashQuery,
)
from rest.project_param import InProject, OfUser, project_of
from server.buckets import Bucket
from server.domain.access import require_memory_of
from server.domain.memory import changes, deletions, memories, trash, versions
from server.domain.memory.budget import size_of
from server.domain.memory.inputs import NewMemory
from server.domain.memory.trash import TrashRequest, require_in_project
from server.errors import Invalid
from server.models import Memory
from server.shell.runtime import Call, Operation, State


async def create(request: Request[State]) -> Response:
    """Store one memory. The next search finds it."""
    async with late_call_of(request, Bucket.MEMORY_ADD) as call:
        new = await read(request, NewMemory)
        project_id = await project_of(request, call, new)
        memory_id = await call.run(memories.add, in_project(new, project_id), call.index, idempotency_key(request))
    return reply_created(MemoryCreated.of(memory_id, new.text), new)


async def create_batch(request: Request[State]) -> Response:
    """Store up to 1000 memories: all of them or none."""
    call = await call_of(request, Bucket.MEMORY_ADD)
    async with call.runtime.pools.bodies.slot_when_needed(call.caller) as when_large:
        batch = await read(request, Batch, BULK_BODY_LIMIT, when_large)
        project_id = await project_of(request, call, batch, *batch.memories)
        news = [in_project(new, project_id) for new in batch.memories]
        ids = await call.run(memories.add_many, news, call.index, idempotency_key(request))
    created = [CreatedReference(memory_id=memory_id) for memory_id in ids]
    return reply_created(BatchCreated(results=created, message=f"{count_of(len(ids))} created"), batch)


async def list_all(request: Request[State]) -> Response:
    """List memories, newest first."""
    async with late_call_of(request) as call:
        query = read_query(request, ListQuery)
        await project_of(request, call)
        page = await call.read(memories.list_memories, query.list_request())
    return await reply_sized(request, page.size, lambda: MemoryList.of(page, query))


async def get(request: Request[State]) -> Response:
    """Read one memory."""
    async with late_call_of(request) as call:
        memory = await call.read(memories.get, await memory_id_of(request, call))
    return await reply_with(request, memory)


async def update(request: Request[State]) -> Response:
    """Replace a memory's text, its metadata or both. The history keeps the earlier version."""
    async with late_call_of(request, Bucket.MEMORY_CHANGE) as call:
        change = await read(request, Replacement)
        memory = await call.run(memories.update, await memory_id_of(request, call, change), change, call.index)
    return await reply_with(request, memory)


async def merge(request: Request[State]) -> Response:
    """Change the fields that the body names, and keep all others (RFC 7396). The history keeps the earlier version."""
    async with late_call_of(request, Bucket.MEMORY_CHANGE) as call:
        patch = await read(request, Patch)
        memory = await call.run(changes.merge, await memory_id_of(request, call, patch), patch, call.index)
    return await reply_with(request, memory)


async def restore(request: Request[State]) -> Response:
    """Bring an earlier version back, as a new version; without a version, bring the memory back from the trash."""
    call = await call_of(request, Bucket.MEMORY_CHANGE)
    body = await read_if_any(request, RestoredVersion)
    if body.version is None:
        memory = await call.run(trash.restore, await any_memory_id_of(request, call, body))
    else:
        memory = await call.run(changes.restore, await memory_id_of(request, call, body), body.version, call.index)
    return await reply_with(request, memory)


async def history(request: Request[State]) -> Response:
    """Read the versions of a memory: the current one and the last 50 before it, newest first."""
    call = await call_of(request)
    query = read_query(request, HistoryQuery)
    memory_id = await memory_id_of(request, call)
    page = await call.read(versions.history, memory_id, query.limit, query.before)
    return await reply_sized(request, page.size, lambda: MemoryHistory.of(page, memory_id, query.limit))


async def delete(request: Request[State]) -> Response:
    """Move a memory with all its versions to the trash, or delete it permanently."""
    async with late_call_of(request) as call:
        query = read_query(request, DeletionQuery)
        await call.run(deletions.delete, await any_memory_id_of(request, call), query.permanent)
    return reply(Deleted(message="Memory deleted successfully"))


async def list_trash(request: Request[State]) -> Response:
    """List the memories in the trash, last deleted first."""
    call = await call_of(request)
    query = read_query(request, TrashQuery)
    await project_of(request, call)
    wanted = TrashRequest(query.project_id, query.user_id, query.limit, query.offset, query.before)
    page = await call.read(trash.list_trash, wanted)
    return await reply_sized(request, page.size, lambda: TrashList.of(page, query))


async def delete_all(request: Request[State]) -> Response:
    """Delete all memories of the project or of one end user, including those in the trash. This cannot be undone."""
    call = await call_of(request)
    query, body = read_query(request, OfUser), await read_if_any(request, OfUser)
    if body.user_id is None and "user_id" in body.model_fields_set:  # probably an unset variable in the caller's code
        raise Invalid("must not be null: leave it out to delete the memories of all end users.", field="user_id")
    project_id = await project_of(request, call, body)
    user_id = single_value("user_id", query.user_id, body.user_id)
    count = await call.run(deletions.delete_all, project_id, user_id)
    return reply(DeletedAll(message=f"{count_of(count)} deleted", deleted_count=count))


async def stats(request: Request[State]) -> Response:
    """Count memories and tags."""
    call = await call_of(request)
    counts = await call.read(memories.stats, await project_of(request, call))
    return reply(StatsView.of(counts))


async def memory_id_of(
    request: Request[State], call: Call, *bodies: InProject, require: Operation[[str, str], None] = require_memory_of
) -> str:
    """Return the memory in the path. A project that the query or a body names must be the memory's. Raises NotFound."""
    memory_id: str = request.path_params["memory_id"]
    project_id = await project_of(request, call, *bodies)
    if project_id is not None:
        await call.read(require, memory_id, project_id)
    return memory_id


async def any_memory_id_of(request: Request[State], call: Call, *bodies: InProject) -> str:
    """Like `memory_id_of`, for a memory that may be in the trash and that the caller may change."""
    return await memory_id_of(request, call, *bodies, require=require_in_project)


async def reply_with(request: Request[State], memory: Memory) -> Response:
    # Twice the size, because the view holds the text twice.
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
