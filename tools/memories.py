"""The tools: prompts for a model (docstrings and descriptions), parameters and results.

With the return type `Annotated[CallToolResult, View]` the SDK publishes `View` as the output schema and validates the
structured content against it, and the tool still writes the text for clients that read only text.
"""

from datetime import datetime
from typing import Annotated, Self

from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel, Field, JsonValue, PlainValidator

from server.domain.memory import memories, search
from server.domain.memory.budget import ANSWER_BYTES
from server.domain.memory.filters import Filters
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, TagList, parse_list
from server.domain.memory.memories import ListRequest, MemoryChange, NewMemory
from server.domain.memory.metadata import Content, Metadata
from server.domain.memory.parameters import Limit, Offset, PageLimit, Query, Threshold
from server.domain.memory.periods import VOCABULARY, period_between
from server.domain.memory.search import SearchRequest, SearchResult
from server.errors import Invalid
from server.models import Memory
from server.settings import Settings
from server.wire import validated
from tools.call import Caller

TITLE_LENGTH = 80
"""Characters of the title, which is the beginning of the first line."""

RESULT_BYTES = ANSWER_BYTES // 3
"""Bytes of memories in a result, which a search sends as structured content and again as JSON in a text."""


class MemoryFields(BaseModel):
    id: str
    title: str = Field(description="the beginning of the text")
    text: str
    url: str = Field(description="opens the memory in the dashboard")
    metadata: dict[str, JsonValue]


class Document(MemoryFields):
    """A memory in the shape that research clients expect of `fetch`."""

    @classmethod
    def of(cls, memory: Memory, settings: Settings) -> Self:
        return cls(
            id=memory.id,
            title=title_of(memory.content),
            text=memory.content,
            url=url_of(memory, settings),
            metadata=memory.details,
        )


class Entry(MemoryFields):
    created_at: datetime

    @classmethod
    def of(cls, memory: Memory, settings: Settings) -> Self:
        return cls(
            id=memory.id,
            title=title_of(memory.content),
            text=memory.content,
            url=url_of(memory, settings),
            metadata=memory.details,
            created_at=memory.created_at,
        )


class Match(MemoryFields):
    created_at: datetime
    score: float = Field(ge=0, le=1, description="higher is closer")

    @classmethod
    def of(cls, result: SearchResult, settings: Settings) -> Self:
        memory = result.memory
        return cls(
            id=memory.id,
            title=title_of(memory.content),
            text=memory.content,
            url=url_of(memory, settings),
            metadata=memory.details,
            created_at=memory.created_at,
            score=result.score,
        )


class Matches(BaseModel):
    results: list[Match] = Field(description="closest first")
    omitted: int = Field(
        default=0, exclude_if=lambda value: value == 0, description="how many other results had no room"
    )


class Page(BaseModel):
    results: list[Entry] = Field(description="newest first")
    total: int = Field(description="how many memories there are on all pages")


class Change(BaseModel):
    memory_id: str
    message: str


def require_list(value: object) -> object:
    """Return comma-separated text or a list of texts unchanged. Raises ValueError for anything else."""
    parse_list(value)
    return value


Texts = Annotated[str | list[str], PlainValidator(require_list, json_schema_input_type=str | list[str])]
Id = Annotated[str, Field(description="A memory's id, as search, list and add give it.")]
Tags = Field(description='Labels such as "work, travel".')
People = Field(description='Names of people it is about, such as "Anna, Dr Li".')
Category = Field(description='One broad topic, such as "health".')


async def search_memories(
    call: Caller,
    query: Annotated[Query, Field(description="A question or keywords. Leave empty for the newest memories.")],
    limit: Annotated[Limit, Field(description="How many results at most.")] = 10,
    tags: Annotated[TagList, Field(description="Only memories with any of these tags.")] = (),
    people_mentioned: Annotated[TagList, Field(description="Only memories about any of these people.")] = (),
    topic_category: Annotated[str, Field(description="Only memories of this category.")] = "",
    temporal_filter: Annotated[str, Field(description=f"Only memories saved then (UTC): {VOCABULARY}.")] = "",
    threshold: Annotated[Threshold, Field(description="Only results with at least this score.")] = 0,
) -> Annotated[CallToolResult, Matches]:
    """Find what is remembered about something, by meaning and by words.

    Use it before you answer anything that may depend on what the user told you earlier: preferences, people, plans,
    decisions, facts. Ask in plain words; the closest memories come first, each with its full text and id. If nothing
    fits, ask again in other words or with fewer filters before you say that you don't know.
    """
    period = period_between(temporal_filter or None)
    filters = Filters(
        tags=tags,
        people=people_mentioned,
        category=topic_category or None,
        created_from=period.start,
        created_until=period.end,
    )
    request = SearchRequest(query, filters, limit, threshold, answer_bytes=RESULT_BYTES)
    page = await call.read(search.search, request, call.index)
    results = [Match.of(result, call.runtime.settings) for result in page.results]
    return tool_result(Matches(results=results, omitted=page.omitted))


async def fetch_memory(call: Caller, id: Id) -> Annotated[CallToolResult, Document]:
    """Read one memory in full by its id."""
    memory = await call.read(memories.get, id)
    return tool_result(Document.of(memory, call.runtime.settings))


async def list_memories(
    call: Caller,
    limit: Annotated[PageLimit, Field(description="How many at most.")] = 10,
    offset: Annotated[Offset, Field(description="How many of the newest to leave out.")] = 0,
) -> Annotated[CallToolResult, Page]:
    """List memories, newest first, page by page.

    Use it to see what was saved recently or to go through everything; to find something, use search.
    """
    request = ListRequest(limit=limit, offset=offset, answer_bytes=RESULT_BYTES)
    page = await call.read(memories.list_memories, request)
    results = [Entry.of(memory, call.runtime.settings) for memory in page.memories]
    sentence = f"{len(results)} of {page.total} memories, newest first."
    if page.is_cut:
        sentence += f" The others had no room: go on with offset {offset + len(results)}."
    return tool_result(Page(results=results, total=page.total), sentence)


async def add_memory(
    call: Caller,
    content: Annotated[Content, Field(description="The text to remember, in full sentences.")],
    tags: Annotated[Texts, Tags] = "",
    people_mentioned: Annotated[Texts, People] = "",
    topic_category: Annotated[str, Category] = "",
    metadata: Annotated[Metadata | None, Field(description="Anything else worth keeping, as JSON.")] = None,
) -> Annotated[CallToolResult, Change]:
    """Remember something for good: a fact, a preference, a decision, a plan, something about a person.

    One call is one memory. Write it so that it makes sense on its own in a year: names instead of "he" or "it", dates
    instead of "tomorrow". The very next search finds it. Never save passwords or keys.
    """
    labels = {TAGS: tags, PEOPLE: people_mentioned, CATEGORY: topic_category}
    details = {**(metadata or {}), **{key: value for key, value in labels.items() if value}}
    new = validated(NewMemory, {"messages": [{"role": "user", "content": content}], "metadata": details})
    memory_id = await call.run(memories.add, new, call.index)
    return change_result(memory_id, f"Remembered as {memory_id}.")


async def update_memory(
    call: Caller,
    id: Id,
    content: Annotated[Content, Field(description="The new text; leave it out to keep the text.")] = "",
    metadata: Annotated[Metadata | None, Field(description="Replaces all metadata; leave it out to keep it.")] = None,
) -> Annotated[CallToolResult, Change]:
    """Correct a memory that has changed or was wrong: a new text, new metadata, or both.

    Find its id with search first. The version before is kept in the memory's history.
    """
    if not content and metadata is None:
        raise Invalid("content or metadata: give at least one of them.")
    change = MemoryChange(text=content or None, metadata=metadata)
    await call.run(memories.update, id, change, call.index)
    return change_result(id, f"Updated {id}.")


async def delete_memory(call: Caller, id: Id) -> Annotated[CallToolResult, Change]:
    """Forget one memory for good, with all its versions. This cannot be undone.

    Only when the user wants it forgotten; to correct something, use update.
    """
    await call.run(memories.delete, id)
    return change_result(id, f"Deleted {id}.")


def url_of(memory: Memory, settings: Settings) -> str:
    return f"{settings.public_url}/dashboard/memories/{memory.id}"


def title_of(content: str) -> str:
    line = content.strip().splitlines()[0]
    return line if len(line) <= TITLE_LENGTH else f"{line[: TITLE_LENGTH - 1].rstrip()}…"


def change_result(memory_id: str, message: str) -> CallToolResult:
    return tool_result(Change(memory_id=memory_id, message=message), message)


def tool_result(view: BaseModel, sentence: str | None = None) -> CallToolResult:
    """Return the view as structured content, and as text: `sentence`, or else JSON for clients that read only text."""
    text = view.model_dump_json() if sentence is None else sentence
    return CallToolResult(content=[TextContent(text=text)], structured_content=view.model_dump(mode="json"))
