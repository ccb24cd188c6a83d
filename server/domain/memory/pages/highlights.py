"""Finds the question's words in a text, so that a page can mark them."""

import re
from collections.abc import Iterator
from functools import lru_cache

from server.index.words.emoji import EMOJI
from server.index.words.normalization import INVISIBLE, normalize, pattern_of
from server.index.words.questions import beginning_of, read_question
from server.index.words.tokenizer import ARTICLE, MARKS, UNSPACED, terms_of

_FOLLOWING = f"[{MARKS}{INVISIBLE}\u1160-\u11ff\u309b\u309c\uff9e\uff9f]*"
"""Marks, joiners, and parts of syllables that people see as one character with the character before them."""

_CHARACTER = re.compile(f"(?s:.){_FOLLOWING}")
_LETTER = f"(?:(?!{UNSPACED.pattern}|[\uff66-\uff9f])\\w)"
"""Of a script with spaces between words. Latin words and numbers stand in a Chinese sentence without any."""

_LETTERS = f"(?:{_LETTER}{_FOLLOWING})+"
_EMOJIS = f"(?:{EMOJI.pattern}){_FOLLOWING}"
_WORD = re.compile(
    rf"(?<!{_LETTER})(?:[A-Za-z]#(?!{_LETTER})|[A-Za-z]{{1,2}}\+\+)"  # C#, C++
    r"|(?:(?<![\w.])\.(?=[A-Za-z]))?"  # .NET
    rf"{_LETTERS}(?:['`\u00b4\u2018\u2019&.\u00b7\u2010\u2011-]{_LETTERS})*"
    f"|{_EMOJIS}(?:(?<=\u200d){_EMOJIS})*"
)
_BETWEEN_HEBREW = re.compile("(?<=[\u05d0-\u05ea])(?=[\u05d0-\u05ea])")
_HEBREW_MARK = "[\"'\u05be\u05f3\u05f4]?"
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

    Singular and plural count as one word, as do forms with -s, -ed and -ing, and words with the same beginning, as the
    word index finds them.
    """

    def __init__(self, question: str) -> None:
        asked = read_question(question)
        terms = asked.terms if question.strip() else []
        self._stems = {_stem(term) for term in terms if _has_case(term)}
        self._beginnings = {_stem(term): begun for term in terms if _has_case(term) and (begun := beginning_of(term))}
        self._repeating = self._stems & {_stem(term) for term in asked.wholes}
        self._pairs = {_stem(joined): {_stem(word) for word in pair} for joined, pair in asked.pairs.items()}
        pieces = [term for term in terms if len(term) <= LONGEST_PIECE and not _has_case(term)]
        self._pieces = {_pattern_of(piece) for piece in pieces}
        self._repeating_pieces = {_pattern_of(piece) for piece in asked.wholes.intersection(pieces)}

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
        terms = set(terms_of(text))
        stems = self._stems & {_stem(term) for term in terms}
        stems |= {stem for stem, begun in self._beginnings.items() if any(term.startswith(begun) for term in terms)}
        for joined in stems & self._pairs.keys():
            stems |= self._pairs[joined] & self._stems
        normalized = normalize(text) if self._pieces else ""
        pieces = {piece for piece in self._pieces if re.search(piece, normalized)}
        lacking = (self._stems - self._repeating - stems) | (self._pieces - self._repeating_pieces - pieces)
        held = len(stems) + len(pieces)
        return held / (held + len(lacking)) if held else 0.0

    def _holds(self, word: str) -> bool:
        begun = tuple(self._beginnings.values())
        return any(_stem(term) in self._stems or term.startswith(begun) for term in terms_of(word))

    def _exact(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of terms in scripts without case. Many of these scripts have no spaces between words."""
        if not self._pieces:
            return
        normalized, origins = _with_origins(text)
        for piece in self._pieces:
            for match in re.finditer(f"(?=({ARTICLE}?{piece}))", normalized):  # pairs may overlap
                yield origins[match.start(1)][0], origins[match.end(1) - 1][1]


def _pattern_of(piece: str) -> str:
    """Return the pattern of a term, or else of its beginning. A Hebrew abbreviation has a mark between its letters, or
    none.
    """
    forms = "|".join(map(pattern_of, filter(None, (piece, beginning_of(piece)))))
    return f"(?:{_BETWEEN_HEBREW.sub(_HEBREW_MARK, forms)})"


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
