"""Reads the JSON of outliners, Roam and Logseq: pages of nested blocks. Each page becomes a Markdown list."""

from collections.abc import Iterator
from typing import Any

from server.domain.memory.exchange.chat_parts import objects_in
from server.domain.memory.exchange.conversations import title_of
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.inline_tags import add_tags
from server.domain.memory.exchange.markdown import OF_LOGSEQ, day_of
from server.domain.memory.exchange.moments import times_of
from server.domain.memory.exchange.texts import cut, storable
from server.domain.memory.metadata import is_blank

LOGSEQ = "page-name"
_WITHOUT_TEXT = "pages without text were left out"
_CREATED, _EDITED = "create-time", "edit-time"


def is_page(value: Foreign) -> bool:
    blocks = objects_in(value.get("children"))
    is_of_roam = not value.keys().isdisjoint((_CREATED, _EDITED)) or any("string" in block for block in blocks)
    return LOGSEQ in value or (is_of_roam and isinstance(value.get("title"), str))


def read_page(place: str, page: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the page, in several memories if it is too long for one. Pages without text are counted in `warnings`."""
    program = "Logseq" if LOGSEQ in page else "Roam"
    title = title_of(page.get(LOGSEQ) or page.get("title"))
    edited = page.get(_EDITED)
    times = times_of(day_of(title) or page.get(_CREATED) or edited, edited)
    text = storable("\n".join(_lines(page.get("children"))))
    if is_blank(text):
        warnings.add(_WITHOUT_TEXT, title or place)
    for content in cut(text):
        metadata = add_tags({"source": program.casefold(), "title": title}, content)
        yield Entry(place, {"content": content, "metadata": metadata, "source": program, **times}, title)


def _lines(blocks: Any) -> Iterator[str]:
    """Yield the blocks, each before those in it."""
    waiting = [(0, block) for block in objects_in(blocks)[::-1]]
    while waiting:
        depth, block = waiting.pop()
        text = OF_LOGSEQ.sub("", str(block.get("string") or block.get("content") or "")).strip()
        if text:
            yield "  " * depth + "- " + text.replace("\n", "\n  " + "  " * depth)
        waiting += [(depth + 1, inner) for inner in objects_in(block.get("children"))[::-1]]
