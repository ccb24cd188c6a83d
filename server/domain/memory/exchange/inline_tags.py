"""Finds the tags in the text of a note, as Obsidian and Logseq write them: `#trip`, `#work/invoices`."""

import contextlib
import re
from collections.abc import Iterator
from itertools import islice

from server.domain.memory.exchange.entries import Foreign
from server.domain.memory.labels import MOST_VALUES, TAGS, distinct, like, parse_list
from server.index.words.tokenizer import MARKS

MOST_TAGS = 50
LONGEST_TAG = 50
"""So that the tags of a text never make its metadata too large."""

_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_TAG = re.compile(rf"(?<!\S)#([\w{MARKS}/-]++)")


def add_tags(metadata: Foreign, text: str) -> Foreign:
    """Return the metadata of a note with the tags of its text after those that it has."""
    value = metadata.get(TAGS)
    with contextlib.suppress(ValueError):
        names = parse_list(value)
        found = distinct([*names, *islice(_tags_in(text), MOST_TAGS)])[len(distinct(names)) :]
        if found:
            return metadata | {TAGS: like([] if value is None else value, [*names, *found][:MOST_VALUES])}
    return metadata


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line of a note, and whether it is in a block of code or begins or ends one."""
    is_code = False
    for line in text.split("\n"):
        is_fence = _FENCE.match(line) is not None
        yield line, is_code or is_fence
        is_code = is_code != is_fence


def _tags_in(text: str) -> Iterator[str]:
    """Yield the tags outside of code. A number, such as `#123`, is none."""
    for line, is_code in lines_of(text):
        if not is_code and "#" in line:
            yield from filter(_is_tag, (match[1].strip("/") for match in _TAG.finditer(_without_code(line))))


def _is_tag(name: str) -> bool:
    return len(name) <= LONGEST_TAG and any(map(str.isalpha, name))


def _without_code(line: str) -> str:
    """Return the line without its code. Code ends at as many backticks as began it."""
    kept, parts = [], re.split("(`+)", line)
    ends = {marks: at for at, marks in enumerate(parts) if at % 2}
    at = 0
    while at < len(parts):
        if at % 2 and ends[parts[at]] > at:
            at = parts.index(parts[at], at + 1)
        elif at % 2 == 0:
            kept.append(parts[at])
        at += 1
    return "`".join(kept)
