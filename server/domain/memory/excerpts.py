"""Picks the part of a long text that an answer shows: where most of the question's words are, or the closest piece."""

import re
import unicodedata
from collections.abc import Mapping
from itertools import islice

from server.index.words.normalization import normalize, normalized_alike, pattern_of
from server.index.words.questions import MAX_QUESTION_TERMS, question_terms
from server.index.words.titles import title_in
from server.text import characters

EXCERPT_LENGTH = 1_500
"""How many characters of a memory a search or a list shows, including the ellipses."""

TITLE_LENGTH = 80
"""Maximum length of a title, which is the beginning of the first line."""

MOST_PLACES = 100
"""How many occurrences of one word to consider. A word that is everywhere says little about where to look."""

EDGE = 40
"""How far an edge may move to reach a space, so that no word is cut."""

MANY = 0x3000
"""From this character on, there are too many to cache them."""

_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_EMOJI_PARTS = "\u200d\ufe0e\ufe0f" + "".join(map(chr, range(0x1F3FB, 0x1F400)))
"""Characters that belong to the character before them: joiners, variants, skin tones."""

_MARKER_LINES = re.compile(r"\s*+(?:(?:`{3,}+\S*+|~{3,}+\S*+|-{3,}+|\*{3,}+|={3,}+)[ \t]*+(?:\r?\n\s*+|$))*")
"""The lines at the beginning that only open a block of code, or only separate: they are no title.

The outer group is not possessive, because up to Python 3.11.4, it would also match the beginning of a line that fails.
"""


_BEFORE_TITLE = re.compile(r"[\s#*_>-]*")
"""The Markdown marks of a heading or emphasis."""

_SPEAKER_LINE = re.compile(r"([^\n]{1,40}[:：])[ \t\r]*+\n\s*+(?=[^-*+#>|`~\d])")
"""A short first line that ends with a colon, as above each part of a copied chat, and does not open a list."""


class _Plain(dict[int, str]):
    """Maps each character to one normalized character in lower case, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if code >= MANY:
            return characters.normalize("NFKC", character)[0]
        plain = (normalize(character) or character)[0].lower()
        self[code] = plain = plain if len(plain) == 1 else character
        return plain


_PLAIN = _Plain()


def _plain(text: str) -> str:
    return normalized_alike(text.translate(_PLAIN))


def title_of(content: str, details: Mapping[str, object]) -> str:
    """Return the title in the metadata, or else the beginning of the first line that is more than a Markdown marker,
    and more than a speaker's name.
    """
    if title := title_in(details):
        return _shortened(title)
    opening = _MARKER_LINES.match(content)
    text = content[opening.end() :] if opening else content
    if speaker := _SPEAKER_LINE.match(text):
        text = f"{speaker[1]} {text[speaker.end() : speaker.end() + TITLE_LENGTH + 1]}"
    return _shortened((text or content.lstrip())[: TITLE_LENGTH + 1].splitlines()[0])


def title_above(content: str, details: Mapping[str, object]) -> str:
    """Return the title in the metadata if there is one and the text does not begin with it, or else ""."""
    title = title_in(details)
    beginning = " ".join(_BEFORE_TITLE.sub("", content[: 2 * len(title) + TITLE_LENGTH], count=1).split())
    return "" if beginning.casefold().startswith(title.casefold()) else _shortened(title)


def title_and_text(text: str, details: Mapping[str, object]) -> tuple[str, str]:
    """Return the title in the metadata, and the text without a first line that is the title. If the line goes on after
    the title, the title is "", because it can be read there.
    """
    first, _, below = text.partition("\n")
    title = title_in(details)
    if title and " ".join(first.split()).casefold() == title.casefold():
        return _shortened(first.strip()), below
    return title_above(text, details), text


def _shortened(line: str) -> str:
    if len(line) <= TITLE_LENGTH:
        return line
    end = TITLE_LENGTH - 1
    while end > TITLE_LENGTH // 2 and _splits(line, end):
        end -= 1
    return f"{line[:end].rstrip()}…"


def beginning_of(content: str, length: int = EXCERPT_LENGTH) -> str:
    """Return the text, or at most its first `length` characters."""
    return content if len(content) <= length else _cut(content, 0, length)


def excerpt_of(content: str, query: str, piece: str, length: int = EXCERPT_LENGTH) -> str:
    """Return the text if it is short enough, else at most `length` characters around the match.

    `piece` is the part closest in meaning.
    """
    if len(content) <= length:
        return content
    return _cut(content, _center(_places(content, query, piece), length) - length // 2, length)


def _places(content: str, query: str, piece: str) -> list[tuple[int, float]]:
    """Return the positions of the question's words and of the piece, each with a weight. Rarer and longer words weigh
    more.
    """
    plain = _plain(content)
    places: list[tuple[int, float]] = []
    weight_of_words = 0.0
    for term in dict.fromkeys(map(_plain, question_terms(query)[:MAX_QUESTION_TERMS])):
        offsets = [match.start() for match in islice(re.finditer(pattern_of(term), plain), MOST_PLACES)]
        places += [(start, len(term) / len(offsets)) for start in offsets]
        weight_of_words += len(term) if offsets else 0
    start = content.find(piece) if piece else -1
    if start >= 0:
        places.append((start, weight_of_words / 2 or 1.0))  # so that a place with most of the words wins over the piece
    return sorted(places)


def _center(places: list[tuple[int, float]], length: int) -> int:
    """Return the middle of the heaviest group of places that fits into one excerpt, or 0 if there are none."""
    best, center = 0.0, 0
    weight, first = 0.0, 0
    for last, gain in places:
        weight += gain
        while last - places[first][0] > length // 2:
            weight -= places[first][1]
            first += 1
        if weight > best + 1e-9:
            best, center = weight, (places[first][0] + last) // 2
    return center


def _cut(content: str, start: int, length: int) -> str:
    """Return at most `length` characters from about `start`, with an ellipsis on each side where text is left out."""
    room = length - 2
    start = max(0, min(start, len(content) - room))
    end = min(start + room, len(content))
    if start > 0:
        start = max(start, content.find(" ", start, start + EDGE) + 1)
    if end < len(content):
        space = content.rfind(" ", end - EDGE, end)
        end = space if space > 0 else end
    while start < end and _splits(content, start):
        start += 1
    while start < end and _splits(content, end):
        end -= 1
    return f"{'…' if start else ''}{content[start:end]}{'…' if end < len(content) else ''}"


def _splits(content: str, position: int) -> bool:
    """Return whether a cut at `position` would split what people see as one character, such as a letter with its
    accent or an emoji.
    """
    if not 0 < position < len(content):
        return False
    after = content[position]
    if after in _FLAG_LETTERS:  # a flag is two of them
        return (position - len(content[:position].rstrip(_FLAG_LETTERS))) % 2 == 1
    return unicodedata.category(after)[0] == "M" or after in _EMOJI_PARTS or content[position - 1] == "\u200d"
