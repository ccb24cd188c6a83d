"""Finds what changed between two versions of a memory, word by word."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import NamedTuple

from server.domain.memory.versions import are_same
from server.models.base import JSON, JsonObject

MOST_WORDS = 1_500
"""Maximum number of words to compare, because more would take too long. Longer texts are shown without differences."""

SHOWN_AROUND = 80
"""How many characters of unchanged text to show on each side of a change."""

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Piece(NamedTuple):
    """A run of text: `gone` was only in the earlier version, `new` only in the later one."""

    text: str
    gone: bool = False
    new: bool = False


class ChangedValue(NamedTuple):
    """A metadata entry that changed. None means that it does not exist."""

    key: str
    before: JSON
    after: JSON


def text_differences(before: str, after: str) -> list[Piece] | None:
    """Return the later text, with removed and new parts marked. None if it is too long to compare."""
    old, new = _words(before), _words(after)
    if max(len(old), len(new)) > MOST_WORDS:
        return None
    return list(_pieces(old, new))


def detail_differences(before: JsonObject, after: JsonObject) -> list[ChangedValue]:
    keys = dict.fromkeys([*before, *after])
    changed = [ChangedValue(key, before.get(key), after.get(key)) for key in keys]
    return [one for one in changed if not are_same(one.before, one.after)]


def _words(text: str) -> list[str]:
    """Return the words of the text, or the first `MOST_WORDS` and one more: a memory may have a million."""
    return [match[0] for match in islice(_WORD.finditer(text), MOST_WORDS + 1)]


def _pieces(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    for action, start, end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        if action == "equal":
            yield Piece(_shortened("".join(old[start:end]), start == 0, end == len(old)))
            continue
        if end > start:
            yield Piece("".join(old[start:end]), gone=True)
        if new_end > new_start:
            yield Piece("".join(new[new_start:new_end]), new=True)


def _shortened(text: str, is_first: bool, is_last: bool) -> str:
    """Shorten unchanged text: keep what is next to a change, and leave out the rest."""
    head = 0 if is_first else SHOWN_AROUND
    tail = 0 if is_last else SHOWN_AROUND
    if len(text) <= head + tail + SHOWN_AROUND:
        return text
    return f"{text[:head]} … {text[len(text) - tail :]}"
