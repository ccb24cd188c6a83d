"""Memories as resources, which a person attaches to a conversation: `memory://` and the id."""

from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from server.domain.memory import memories
from server.domain.memory.excerpts import title_of
from server.domain.memory.memories import ListRequest
from server.errors import NotFound
from server.models.base import is_id
from tools.call import Context, call_of
from tools.errors import protocol_errors
from tools.inputs import read_id

SCHEME = "memory://"
MEDIA_TYPE = "text/plain"
PAGE_LENGTH = 50
TEMPLATE = ResourceTemplate(
    uri_template=SCHEME + "{id}",
    name="memory",
    title="A memory",
    description="The full text of one memory, by its id",
    mime_type=MEDIA_TYPE,
)


async def list_templates(_context: Context, _params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    return ListResourceTemplatesResult(resource_templates=[TEMPLATE])


async def list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
    """Return a page of memories, newest first. The cursor is the id of the last memory on the previous page. Blank text
    is no cursor.
    """
    cursor = params.cursor if params else None
    if cursor and not is_id("mem_", cursor):
        raise MCPError(INVALID_PARAMS, "cursor: must be the nextCursor of the previous page.")
    request = ListRequest(limit=PAGE_LENGTH + 1, before=cursor or None, spare=1)
    with protocol_errors():
        page = await call_of(context).read(memories.list_memories, request)
    visible = page.memories[:PAGE_LENGTH]
    has_more = page.is_cut or len(page.memories) > PAGE_LENGTH
    titled = [(memory.id, title_of(memory.content, memory.details)) for memory in visible]
    return ListResourcesResult(
        resources=[Resource(uri=SCHEME + one, name=title, title=title, mime_type=MEDIA_TYPE) for one, title in titled],
        next_cursor=visible[-1].id if has_more else None,
    )


async def read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    """Return the memory's full text. Raises MCPError, also for a memory that the caller may not see."""
    uri = str(params.uri)
    with protocol_errors({"uri": uri}):
        memory = await call_of(context).read(memories.get, _id_in(uri))
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, text=memory.content, mime_type=MEDIA_TYPE)])


def _id_in(uri: str) -> str:
    """Raises NotFound."""
    if not uri.casefold().startswith(SCHEME):
        raise NotFound
    try:
        return read_id(uri)
    except ValueError:
        raise NotFound from None
