"""Picks the part of a memory's text that a list shows, and marks matched words, the closest sentence, and speakers."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from server.dashboard.markdown import to_text
from server.domain.memory.excerpts import beginning_of, excerpt_of, title_and_text
from server.domain.memory.pages.highlights import Highlighter
from server.models import Memory

EXCERPT_LENGTH = 280
LEAST_LINES = 2
"""A text with at least this many spoken lines counts as a conversation."""

_SPEAKER = re.compile(r"^(user|assistant|system|tool): ", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")
Span = tuple[int, int]


class Part(NamedTuple):
    """A run of text with one look: a matched word, a part of the closest passage, a speaker's name, or a part of the
    title above the text.
    """

    text: str
    is_word: bool = False
    is_passage: bool = False
    is_speaker: bool = False
    is_title: bool = False


def heading(title: str) -> str:
    """Return a memory's title without its speaker and without Markdown marks. A sign, as in `-5 degrees`, stays."""
    line = _SPEAKER.sub("", title, count=1).strip()
    return to_text(line).removeprefix("- ") or line


def is_conversation(memory: Memory) -> bool:
    """Return whether the text below the title is lines of a conversation, the form in which messages are stored."""
    _, beginning = title_and_text(memory.content[: EXCERPT_LENGTH * 10], memory.details)
    return bool(_SPEAKER.match(beginning)) and len(_SPEAKER.findall(beginning)) >= LEAST_LINES


def excerpt(memory: Memory, question: str = "", piece: str = "") -> list[Part]:
    """Return about EXCERPT_LENGTH characters around what the question matched, without Markdown marks, below the title.
    `piece` is the closest passage. Without a question, return the beginning.
    """
    content = memory.content
    shown = excerpt_of(content, question, piece, EXCERPT_LENGTH) if question else beginning_of(content, EXCERPT_LENGTH)
    title, text = title_and_text(_lines_of(shown), memory.details)
    highlighter = Highlighter(question)
    named = [part._replace(is_title=True) for part in _parts(title, highlighter.spans(title), [], [])]
    piece = "" if piece == content.strip() else title_and_text(_lines_of(piece), memory.details)[1]
    words = highlighter.spans(text)
    start = text.find(piece) if piece else -1
    passages = [(start, start + len(piece))] if start >= 0 else []
    speakers = [match.span() for match in _SPEAKER.finditer(text)] if is_conversation(memory) else []
    return named + _parts(text, words, passages, speakers)


def _lines_of(text: str) -> str:
    return _BLANK_LINES.sub("\n", to_text(text))


def _parts(text: str, words: Sequence[Span], passages: Sequence[Span], speakers: Sequence[Span]) -> list[Part]:
    edges = sorted({0, len(text), *(edge for span in (*words, *passages, *speakers) for edge in span)})
    return [
        _part(text[start:end], _is_in(start, words), _is_in(start, passages), _is_in(start, speakers))
        for start, end in pairwise(edges)
    ]


def _part(text: str, is_word: bool, is_passage: bool, is_speaker: bool) -> Part:
    if is_speaker:
        return Part(text.rstrip(": ").capitalize(), is_speaker=True)
    return Part(text, is_word, is_passage)


def _is_in(position: int, spans: Sequence[Span]) -> bool:
    return any(start <= position < end for start, end in spans)
