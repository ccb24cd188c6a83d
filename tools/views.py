"""The answers of the tools: models for the structured content, and the same as text."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, Field, JsonValue, TypeAdapter
from pydantic_core import to_json

from server.domain.memory.excerpts import title_of
from server.models import Memory
from server.plurals import count
from server.settings import Settings
from tools.sources import SourceView

ANSWER_LENGTH = 40_000
"""Maximum length of an answer with several memories. A longer one could fill a client's whole context."""

ANSWER_ROOM = 300
"""The characters reserved in an answer for the text around its memories."""

INDENT = "  "

_INSTANT = TypeAdapter(datetime)
View = TypeVar("View", bound=BaseModel)


class Answer(NamedTuple):
    """The structured content of a result, and the text that says the same."""

    view: BaseModel
    text: str


class Document(BaseModel):
    """A memory in the shape that research clients expect of `fetch`."""

    id: str
    title: str = Field(description="the title in the metadata, or the beginning of the text")
    text: str
    url: str = Field(description="the memory's page in the dashboard")
    metadata: dict[str, JsonValue]


class Entry(Document):
    created_at: datetime
    source: SourceView
    truncated: bool = Field(description="whether the text is only a part; fetch gives all of it")


class Match(Entry):
    score: float = Field(ge=0, le=1, description="a higher score means a closer match")


WEAK = "Even the closest result is no better than what unrelated questions find. Perhaps nothing answers this one."
BY_ID = "A search does not look for ids: fetch reads this memory."


class Matches(BaseModel):
    results: list[Match] = Field(description="the closest memory first")
    weak: bool = Field(
        default=False, exclude_if=lambda value: not value, description="true if probably no result answers the query"
    )
    note: str = Field(default="", exclude_if=lambda value: not value, description="a note about the results")
    omitted: int = Field(
        default=0, exclude_if=lambda value: value == 0, description="how many other results did not fit"
    )


class Page(BaseModel):
    results: list[Entry] = Field(description="newest first")
    total: int = Field(description="how many memories match, on all pages")
    omitted: int = Field(
        default=0, exclude_if=lambda value: value == 0, description="how many memories of this page did not fit"
    )


class KnownMemory(BaseModel):
    id: str
    content: str = Field(description="its text on one line, cut to fit")
    pinned: bool
    created_at: datetime


class KnownAtTheStart(BaseModel):
    text: str = Field(description="one line for each memory")
    memories: list[KnownMemory] = Field(description="pinned memories first, then recent and frequently found ones")


class Change(BaseModel):
    memory_id: str
    message: str


def fields_of(memory: Memory, settings: Settings, text: str) -> dict[str, object]:
    """Return the values of `Document`. `text` is the part of the memory's text to show."""
    return {
        "id": memory.id,
        "title": title_of(memory.content, memory.details),
        "text": text,
        "url": f"{settings.public_url}/dashboard/memories/{memory.id}",
        "metadata": memory.details,
    }


def fitting(views: Iterable[View], text_of: Callable[[View], str]) -> list[View]:
    """Return the first views whose texts fit into one answer. `text_of` gives the text of a view."""
    fitted: list[View] = []
    room = ANSWER_LENGTH - ANSWER_ROOM
    for view in views:
        room -= len(text_of(view)) + 2  # with the separator
        if room < 0:
            break
        fitted.append(view)
    return fitted


def instant(moment: datetime) -> str:
    """Return the time in the format of JSON answers."""
    return _INSTANT.dump_python(moment, mode="json")  # type: ignore[no-any-return]  # Pydantic types it as Any


def as_lines(entry: Entry) -> str:
    """Return all fields of the entry for clients that read only text.

    Every line but the first is indented, so that nothing in a memory can pass for another memory or for its source.
    """
    about = f"{entry.id} · {instant(entry.created_at)} · {entry.source.saved} · {entry.url}"
    if entry.source.kind:
        about += f" · {entry.source.kind} {entry.source.id}"
    if entry.truncated:
        about += " · cut; fetch gives the full text"
    lines = [] if entry.title == entry.text else [f"title: {entry.title}"]
    if entry.metadata:
        lines.append(f"metadata: {to_json(entry.metadata).decode()}")
    below = "\n".join([*lines, entry.text]).splitlines(keepends=True)
    return f"{about}\n{INDENT}{INDENT.join(below)}"


def page_text(page: Page, offset: int) -> str:
    """Return a first line about the page, then the lines of each memory."""
    shown = len(page.results)
    line = f"{shown} of {count(page.total, 'memory', 'memories')}, newest first."
    if page.omitted:
        line += f" {page.omitted} more did not fit."
    if shown and offset + shown < page.total:
        line += f" Continue with offset {offset + shown}."
    return "\n\n".join([line, *map(as_lines, page.results)])
