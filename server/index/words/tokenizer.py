"""The tokenizer of the word index: it cuts texts into terms. The database then stems each term."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise

from server.index.words import emoji, months, notations
from server.index.words.han import HAN
from server.index.words.normalization import normalize
from server.index.words.spellings import LEAST_IN_TEXT, in_latin, spelled_out, without_prefixes

VERSION = 15
"""Increase it with every change of what the index stores for a text. The worker then writes the words of all memories
again. Migration 0014 has the same number for new databases.
"""

MAX_INDEXED_BYTES = 1_000_000
"""The estimated size of the terms that one text adds to the index. Postgres accepts 1 MB in one tsvector."""

NEW_TERM_BYTES = 13
"""The bytes that a term adds to its own length when a text first has it: 5 in Postgres. SQLite takes 1.5 microseconds
per term, so 80,000 of them would hold up other writers for more than 0.1 s.
"""

PART_LENGTH = 20_000
"""How many characters of a text are cut into terms at a time. One character can be normalized to 18, so that a text of
1 MB took a gigabyte, and stopped all requests for seconds.
"""

_STOP = (
    "a about after again all am an and any are aren as at be because been before being both but by can could d "
    "did do does doing don down during each few for from further had has have having he her here hers herself him "
    "himself his how i if in into is isn it its itself just ll m me more most my myself no nor not now of off on "
    "once only or other our ours ourselves out over own re s same she should so some such t than that the their "
    "theirs them themselves then there these they this those through to too under until up ve very was we were "
    "what when where which while who whom why will with would you your yours yourself yourselves "
)
STOP_WORDS = frozenset(_STOP.split())

_CODES = (*range(0x300, 0x1D00), 0x3099, 0x309A, *range(0xA800, 0xAC00))
MARKS = "".join(chr(code) for code in _CODES if unicodedata.category(chr(code))[0] == "M")
_WORD = f"[^\\W_](?:[^\\W_]|[{MARKS}])*"
_WORDS = re.compile(_WORD)
_JOINER = (
    r"(?:[-_&!\u2010\u2011\u05be\u00b7]"  # also FRITZ!Box, the Hebrew hyphen, and the dot of col·legi
    r"|(?<!\d)\.|\.(?!\d)"  # node.js, but not 3.5
    r"|(?<=\d)[,.](?=\d{3,4}(?!\d))"  # 1,250 and 555.867.5309
    r"|(?<=[\u05d0-\u05ea])[\"\u05f4](?=[\u05d0-\u05ea])"  # Hebrew abbreviations
    r"|['\u2018\u2019`\u05f3](?!(?i:s|t|d|m|ll|re|ve)\b))"  # O'Brien, but not English endings like 's
)
_DOTTED = r"\d+(?:\.\d+){2,}(?!\w)"
_COMPOUND = re.compile(f"[vV](?={_DOTTED})|{_DOTTED}|{_WORD}(?:{_JOINER}{_WORD})*")
"""A word, or several without a space: `blue-green`, `snake_case`, `node.js`, `R&D`, 20.11.1 also in `v20.11.1`."""

_UPPER, _LOWER = "A-Z\u0391-\u03a9\u0400-\u042f", "a-z\u03b1-\u03c9\u0430-\u045f"
_PART = re.compile(
    f"[{_UPPER}]{{2,}}s(?![{_LOWER}])"  # URLs
    f"|[{_UPPER}]+(?![{_LOWER}])|[{_UPPER}]?[{_LOWER}]+"  # HTTP and Server in HTTPServer
    rf"|\d+|(?:(?![{_UPPER}{_LOWER}\d]).)+",
    re.DOTALL,
)
MOST_PARTS = 6
"""A word with more parts than this, such as a hash, is not split, and more words than this are not joined."""

LEAST_DIGITS = 4
"""Two numbers with fewer digits in total are not joined, so that `1-2` is not found as 12."""

_HAN = re.compile(f"[{HAN}]")
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3130-\u318f"
    f"\ua9e0-\ua9ff\uaa60-\uaa7f\uac00-\ud7ff{HAN}]+"
)
"""Thai, Lao, Burmese, Khmer, kana and Han have no spaces between words; Hangul has none before an ending."""

ARTICLE = "(?:[\u0648\u0641]?(?:[\u0628\u0643]?\u0627\u0644|\u0644\u0644))"
"""The article before an Arabic word, perhaps with and, then, with, as or to before it. Most nouns in a text have it."""

_ARTICLE = re.compile(rf"^{ARTICLE}(?=[^\W\d_]{{3}})")

_CHARACTER = re.compile(f"(?s:.)[{MARKS}]*")
_MARK = re.compile(f"[{MARKS}]")


def _spell_dot(match: re.Match[str]) -> str:
    name = match[1].lower()
    return f"{name} dot{name} "


_NAMES: tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    ("#", re.compile(r"(?<![^\W_])([A-Za-z])#(?!\w)"), r"\1sharp "),
    ("++", re.compile(r"(?<![^\W_])([A-Za-z]{1,2})\+\+"), r"\1plusplus "),
    (".", re.compile(r"(?<![\w.])\.([A-Za-z]+)"), _spell_dot),
)
"""Sign, pattern and replacement: `C#`, `C++` and `.NET` become csharp, cplusplus, dotnet, as people spell them out."""


def terms_of(text: str) -> list[str]:
    """Return the terms of a text, normalized and in lower case.

    A term is a word, a compound word or a part of it or, in a script without spaces, a character or two neighboring
    characters.
    """
    if dates := months.in_english(text):
        text = " ".join((text, *(date for _, _, date in dates)))
    if others := f"{notations.others(text)} {notations.other_names(text)}".strip():
        text = f"{text} {others}"
    if not text.isascii():
        latin = in_latin(text)
        text = spaced(f"{text} {latin} {spelled_out(f'{text} {latin}')}")
        bare = " ".join(word for _, word in without_prefixes(text, LEAST_IN_TEXT))
        text = f"{text} {bare} {emoji.names(text)}"
    words = text.split()
    # A long text repeats most of its words. Terms are stored as joined text, which the garbage collector can skip.
    terms = {word: " ".join(_terms_of_word(word)) for word in set(words)}
    return " ".join(map(terms.__getitem__, words)).split()


def spaced(text: str) -> str:
    """Return the normalized text, with spaces around scripts that have none: they do not join the words beside them."""
    return text if text.isascii() else UNSPACED.sub(r" \g<0> ", normalize(text))


def _terms_of_word(word: str) -> list[str]:
    return [term for compound in compounds_of(word) for term in terms_of_compound(compound, is_question=False)]


def compounds_of(text: str) -> list[str]:
    """Return the compounds of a normalized text."""
    for sign, pattern, name in _NAMES:
        if sign in text:
            text = pattern.sub(name, text)
    if not text.isascii():
        text = emoji.spelled(text)
    return _COMPOUND.findall(text)


def terms_of_compound(compound: str, *, is_question: bool) -> list[str]:
    """Return the parts of a compound in order, then the words of several parts, then the whole of several words."""
    if compound.isascii() and compound.isalpha() and (compound.islower() or compound[1:].islower()):
        return [compound.lower()]  # the case of most words
    if UNSPACED.match(compound):
        return _characters_and_pairs(compound, is_question)
    words = [_ARTICLE.sub("", word) for word in _WORDS.findall(compound)]
    terms = [term for word in words for term in _split_word(word)]
    whole = "".join(words).casefold()
    is_short = len(words) == 2 and whole.isdigit() and len(whole) < LEAST_DIGITS
    is_joined = 1 < len(words) <= MOST_PARTS and not is_short
    return [*terms, whole] if is_joined else terms


def _split_word(word: str) -> list[str]:
    """Split a word at borders of capitals and digits. If it was split, the whole word comes last."""
    parts = _PART.findall(word)
    if 1 < len(parts) <= MOST_PARTS:
        return [*(part.casefold() for part in parts), word.casefold()]
    return [word.casefold()]


def _characters_and_pairs(run: str, is_question: bool) -> list[str]:
    """Return the characters of a run, with their marks, and its pairs.

    In a question of several characters, single letters or syllables are left out, because most texts contain them.
    """
    characters = _CHARACTER.findall(run) if _MARK.search(run) else list(run)
    pairs = [first + second for first, second in pairwise(characters)]
    if is_question and pairs:
        return [*filter(_HAN.match, characters), *pairs]
    return [*characters, *pairs]


def indexed_terms(text: str) -> list[str]:
    """Return the first terms of a text, as many as fit into `MAX_INDEXED_BYTES`.

    The vectors of a longer text still cover the rest.
    """
    kept: list[str] = []
    bytes_left = MAX_INDEXED_BYTES
    seen = set[str]()
    for part in _parts(text):
        for term in terms_of(part):
            bytes_left -= 2 if term in seen else len(term.encode()) + NEW_TERM_BYTES
            if bytes_left < 0:
                return kept
            seen.add(term)
            kept.append(term)
    return kept


def _parts(text: str) -> Iterator[str]:
    """Yield the text in parts of `PART_LENGTH` that end at a line or a space, if they have one."""
    start = 0
    while len(text) - start > PART_LENGTH:
        border = max(text.rfind(space, start + 1, start + PART_LENGTH) for space in "\n ")
        end = border if border > start else start + PART_LENGTH
        yield text[start:end]
        start = end
    yield text[start:]


def date_words(moment: datetime) -> str:
    """Return the words of a UTC date, as people say them and as one number: Monday May 2023 8 20230508.

    They are in an order that is not read as a date in a text, so that its parts 05 and 08, and mon, are not stored.
    """
    return f"{moment:%A} {moment:%B} {moment.year} {moment.day} {moment:%Y%m%d}"
