"""Finds the question's words in a text, so that a page can mark them."""

import re
from collections.abc import Iterator
from functools import lru_cache

from server.index.words.emoji import EMOJI
from server.index.words.normalization import INVISIBLE, normalize, pattern_of
from server.index.words.questions import read_question
from server.index.words.tokenizer import ARTICLE, MARKS, terms_of

_FOLLOWING = f"[{MARKS}{INVISIBLE}\u1160-\u11ff\u309b\u309c\uff9e\uff9f]*"
"""Marks, joiners, and parts of syllables that people see as one character with the character before them."""

_CHARACTER = re.compile(f"(?s:.){_FOLLOWING}")
_LETTERS = rf"(?:\w{_FOLLOWING})+"
_EMOJIS = f"(?:{EMOJI.pattern}){_FOLLOWING}"
_WORD = re.compile(
    r"(?<!\w)(?:[A-Za-z]#(?!\w)|[A-Za-z]{1,2}\+\+)"  # C#, C++
    r"|(?:(?<![\w.])\.(?=[A-Za-z]))?"  # .NET
    rf"{_LETTERS}(?:['`\u00b4\u2018\u2019&.\u00b7\u2010\u2011-]{_LETTERS})*"
    f"|{_EMOJIS}(?:(?<=\u200d){_EMOJIS})*"
)
_BETWEEN_HEBREW = re.compile("(?<=[\u05d0-\u05ea])(?=[\u05d0-\u05ea])")
_ENDINGS = {"ings": 4, "ing": 4, "ied": 4, "ies": 4, "ed": 4, "es": 4, "s": 3, "y": 4, "e": 4}
"""Endings to remove, each with the fewest letters that must remain."""

LONGEST_PIECE = 100
"""A longer term is no word, and is not looked for at every position of a text: that would take its length squared."""

REMEMBERED_LENGTH = 8
"""The length, with its marks, up to which a character's normalized form is kept in memory."""

LOOKED_AT = 20_000
"""How many characters of a text are searched."""


class Highlighter:
    """Finds the words of one question in texts.

    Singular and plural count as one word, as do forms with -s, -ed and -ing.
    """

    def __init__(self, question: str) -> None:
        asked = read_question(question)
        terms = asked.terms if question.strip() else []
        self._stems = {_stem(term) for term in terms if _has_case(term)}
        self._repeating = self._stems & {_stem(term) for term in asked.wholes}
        self._pairs = {_stem(joined): {_stem(word) for word in pair} for joined, pair in asked.pairs.items()}
        pieces = [term for term in terms if len(term) <= LONGEST_PIECE and not _has_case(term)]
        self._pieces = [_pattern_of(piece) for piece in sorted(pieces, key=len, reverse=True)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of the question's words, in order and without overlap."""
        if not self._stems and not self._pieces:
            return []
        words = [(match.start(), match.end()) for match in _WORD.finditer(text) if self._holds(match[0])]
        return _apart(sorted([*words, *self._exact(text)]))

    def coverage(self, text: str) -> float:
        """Return the part of the question's words that the text holds, from 0 to 1. Another spelling that the text
        lacks does not count.
        """
        text = text[:LOOKED_AT]
        stems = self._stems & {_stem(term) for term in terms_of(text)}
        for joined in stems & self._pairs.keys():
            stems |= self._pairs[joined] & self._stems
        term_count = len(self._stems - (self._repeating - stems)) + len(self._pieces)
        if not term_count:
            return 0.0
        normalized = normalize(text) if self._pieces else ""
        return (len(stems) + sum(bool(re.search(piece, normalized)) for piece in self._pieces)) / term_count

    def _holds(self, word: str) -> bool:
        return any(_stem(term) in self._stems for term in terms_of(word))

    def _exact(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of terms in scripts without case. Many of these scripts have no spaces between words."""
        if not self._pieces:
            return
        normalized, origins = _with_origins(text)
        for piece in self._pieces:
            for match in re.finditer(f"(?=({ARTICLE}?{piece}))", normalized):  # pairs may overlap
                yield origins[match.start(1)][0], origins[match.end(1) - 1][1]


def _pattern_of(piece: str) -> str:
    """Return the pattern of a term. A Hebrew abbreviation has a mark between its letters, or none."""
    return _BETWEEN_HEBREW.sub("[\"'\u05be\u05f3\u05f4]?", pattern_of(piece))


def _normalized(character: str) -> str:
    return _remembered(character) if len(character) <= REMEMBERED_LENGTH else normalize(character)


_remembered = lru_cache(4_096)(normalize)


def _with_origins(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the normalized text and, for each of its characters, the span in `text` that it comes from."""
    parts: list[str] = []
    origins: list[tuple[int, int]] = []
    for character in _CHARACTER.finditer(text):
        parts.append(_normalized(character[0]))
        origins += [character.span()] * len(parts[-1])
    return "".join(parts), origins


def _stem(term: str) -> str:
    """Return the term without its ending, roughly as the word index compares it."""
    for ending, least in _ENDINGS.items():
        if term.endswith(ending) and len(term) - len(ending) >= least:
            return term.removesuffix(ending)
    return term


def _has_case(term: str) -> bool:
    return term.lower() != term.upper() or term.isdigit()


def _apart(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge spans that touch or overlap."""
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
