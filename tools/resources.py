"""Memories as resources, which a person attaches to a conversation: `memory://` and the id."""

import re

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
from tools.call import Context, call_of
from tools.errors import protocol_errors
from tools.inputs import read_id

SCHEME = "memory://"
MEDIA_TYPE = "text/plain"
PAGE_LENGTH = 50
MOST_PAGES = 20
"""Only the newest memories are listed. Client libraries ask for all pages at once, fail after 64 of them, and may give
the whole list to the model.
"""

CURSOR = re.compile(r"(?P<memory_id>mem_[0-9a-f]{32})\.(?P<pages>[0-9]{1,2})")
TEMPLATE = ResourceTemplate(
    uri_template=SCHEME + "{id}",
    name="memory",
    title="A memory",
    description="The full text of one memory, by its id. Only the newest memories are listed; search finds the others.",
    mime_type=MEDIA_TYPE,
)


async def list_templates(_context: Context, _params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    return ListResourceTemplatesResult(resource_templates=[TEMPLATE])


async def list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
    """Return a page of memories, newest first. The cursor is the id of the last memory on the previous page, and the
    number of pages so far. Empty text is no cursor.
    """
    cursor = params.cursor if params else None
    position = CURSOR.fullmatch(cursor) if cursor else None
    if cursor and position is None:
        raise MCPError(INVALID_PARAMS, "cursor: must be the nextCursor of the previous page.")
    last, pages = (position["memory_id"], int(position["pages"]) + 1) if position else (None, 1)
    request = ListRequest(limit=PAGE_LENGTH + 1, before=last, spare=1)
    with protocol_errors():
        page = await call_of(context).read(memories.list_memories, request)
    visible = page.memories[:PAGE_LENGTH]
    has_more = (page.is_cut or len(page.memories) > PAGE_LENGTH) and pages < MOST_PAGES
    titled = [(memory.id, title_of(memory.content, memory.details)) for memory in visible]
    return ListResourcesResult(
        resources=[Resource(uri=SCHEME + one, name=title, title=title, mime_type=MEDIA_TYPE) for one, title in titled],
        next_cursor=f"{visible[-1].id}.{pages}" if has_more else None,
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
