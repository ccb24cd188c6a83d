"""The tools that read. A docstring is a prompt: a model reads it to decide when to use the tool."""

from server.domain.memory import context, memories, search
from server.domain.memory.context import one_line, text_of
from server.domain.memory.excerpts import EXCERPT_LENGTH, beginning_of, excerpt_of
from server.domain.memory.filters import Filters
from server.domain.memory.memories import ListRequest
from server.domain.memory.periods import period_between
from server.domain.memory.search import SearchPage, SearchRequest
from server.models import Memory
from server.settings import Settings
from server.shell.runtime import Call
from tools.inputs import MEMORY_ID, ContextArguments, FetchArguments, ListArguments, SearchArguments
from tools.sources import SourceView
from tools.views import (
    BY_ID,
    WEAK,
    Answer,
    Document,
    Entry,
    KnownAtTheStart,
    KnownMemory,
    Match,
    Matches,
    Page,
    as_lines,
    fields_of,
    fitting,
    instant,
    page_text,
)

NOTHING_TO_TELL = "Nothing is remembered yet, or nothing fits: ask again with a larger budget."

LARGE_PAGE_BYTES = 100_000
"""A page with more text than this is cut on a worker thread, so that other requests do not wait."""


async def search_memories(call: Call, arguments: SearchArguments) -> Answer:
    """Find what is remembered about something, by meaning and by words.

    Use it before you answer anything that may depend on what the user told you earlier: preferences, people, plans,
    decisions, facts. Ask in plain words; the closest memories come first, each with its id. A long memory is cut to
    the part that matched; fetch reads all of it. If nothing fits, ask again in other words or with fewer filters
    before you say that you don't know. "weak": true means that probably nothing remembered answers the question.
    """
    threshold = arguments.threshold if "threshold" in arguments.model_fields_set else None
    request = SearchRequest(arguments.query, filters_of(arguments), arguments.limit, threshold)
    page = await call.read(search.search, request, call.index)
    if page.size > LARGE_PAGE_BYTES:
        return await call.runtime.in_thread(_matches, page, arguments.query, call.runtime.settings)
    return _matches(page, arguments.query, call.runtime.settings)


async def fetch_memory(call: Call, arguments: FetchArguments) -> Answer:
    """Read one memory in full by its id."""
    memory = await call.read(memories.get, arguments.id)
    document = Document.model_validate(fields_of(memory, call.runtime.settings, memory.content))
    return Answer(document, document.model_dump_json())


async def list_memories(call: Call, arguments: ListArguments) -> Answer:
    """List memories, newest first, page by page.

    Use it to see what was saved recently or to go through everything; to find something, use search. A long memory is
    cut to its beginning; fetch reads all of it.
    """
    filters = Filters(
        tags=tuple(arguments.tags), category=arguments.topic_category or None, pinned=arguments.pinned or None
    )
    request = ListRequest(filters, limit=arguments.limit, offset=arguments.offset)
    memory_page = await call.read(memories.list_memories, request)
    views = (
        Entry.model_validate(_entry_fields(memory, call.runtime.settings, beginning_of(memory.content)))
        for memory in memory_page.memories
    )
    entries = fitting(views, as_lines)
    expected = min(arguments.limit, max(0, memory_page.total - arguments.offset))
    page = Page(results=entries, total=memory_page.total, omitted=max(0, expected - len(entries)))
    return Answer(page, page_text(page, arguments.offset))


async def read_context(call: Call, arguments: ContextArguments) -> Answer:
    """Read what to know at the start of a conversation: what the user pinned, then recent and frequently found
    memories.

    Call it once, before the first answer. Each line is one memory; search finds more about a topic.
    """
    entries = await call.read(context.read_context, None, None, arguments.budget, known_line)
    memories = [
        KnownMemory(id=memory.id, content=one_line(text), pinned=memory.pinned, created_at=memory.created_at)
        for memory, text, _ in entries
    ]
    text = text_of(entries)
    return Answer(KnownAtTheStart(text=text, memories=memories), text or NOTHING_TO_TELL)


def known_line(memory: Memory, text: str) -> str:
    """Return the memory on one line, with every field of the structured content."""
    about = f"{memory.id} · {instant(memory.created_at)}{' · pinned' if memory.pinned else ''}"
    return f"- {about} · {text}"


def filters_of(arguments: SearchArguments) -> Filters:
    """Return the filters. A null or blank metadata value means left out: some models fill every property of a schema.
    Raises Invalid for a period that cannot be read.
    """
    period = period_between(
        arguments.temporal_filter or None,
        arguments.timezone,
        arguments.created_after or None,
        arguments.created_before or None,
    )
    return Filters(
        tags=tuple(arguments.tags),
        match_all_tags=arguments.match_all_tags,
        people=tuple(arguments.people_mentioned),
        category=arguments.topic_category or None,
        created_from=period.start,
        created_until=period.end,
        metadata={key: value for key, value in arguments.metadata.items() if value is not None and str(value).strip()},
    )


def _matches(page: SearchPage, query: str, settings: Settings) -> Answer:
    """Return as many results as fit."""
    matches = (
        Match.model_validate(
            _entry_fields(result.memory, settings, excerpt_of(result.memory.content, query, result.piece))
            | {"score": result.score}
        )
        for result in page.results
    )
    fitted = fitting(matches, Match.model_dump_json)
    omitted = page.omitted + len(page.results) - len(fitted)
    note = BY_ID if MEMORY_ID.search(query) else WEAK if page.weak else ""
    view = Matches(results=fitted, omitted=omitted, weak=page.weak, note=note)
    return Answer(view, view.model_dump_json())


def _entry_fields(memory: Memory, settings: Settings, text: str) -> dict[str, object]:
    """Return the values of `Entry`. `text` is the part of the memory's text to show."""
    return fields_of(memory, settings, text) | {
        "created_at": memory.created_at,
        "source": SourceView.of(memory),
        "truncated": len(memory.content) > EXCERPT_LENGTH,
    }
