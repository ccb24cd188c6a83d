"""Cuts a memory into the pieces that are embedded: one sentence each, or a few sentences each if it is long.

A memory is as similar to a question as its best piece, so a piece should say one thing and name its speaker. We tried
several cuts on conversations stored as memories of 1, 5, 10 or about 25 turns. The finest found the most. An additional
vector of the whole text found nothing more.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from server.text import characters

MAX_SENTENCE_PIECES = 32
"""Up to this many sentences become a piece each. The sentences of a longer memory are packed."""

SHORT_SENTENCE_LENGTH = 10
"""A sentence with fewer characters ("Wow!", "Thanks!") says too little to be found and joins its neighbor."""

MAX_PIECE_LENGTH = 300
"""Maximum length of a piece. A longer sentence is split."""

PACKED_LENGTH = 150
"""Maximum length of a packed piece. It grows up to MAX_PIECE_LENGTH if a memory has more than PACKED_PIECES pieces."""

PACKED_PIECES = 64

MAX_PIECE_TOKENS = 230
"""Maximum number of estimated tokens in a piece with its lead. The model reads 256, including two special ones."""

MAX_LEAD_LENGTH = 40
"""Maximum length of a lead, which is a name, a role or the beginning of a title."""

UNPENALIZED_PIECES = 16
"""Memories with at most this many pieces have no length penalty."""

DEVIATION = 0.1
"""The standard deviation of the similarities of pieces that do not answer a question."""

SPEAKERS = ("speaker", "author", "title")
"""The metadata keys that say who or what a memory is about, in order of preference."""

ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "mt", "gen", "col", "sgt", "capt", "lt", "rev", "hon", "gov"}
    | {"sen", "rep", "vs", "approx", "dept", "est", "cf", "al", "ca"}
    | {"e.g", "i.e", "a.m", "p.m", "u.s", "u.k", "ph.d"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)
BEFORE_A_NUMBER = frozenset({"no", "nos", "fig", "vol", "pp", "p", "ch"})
MAX_ABBREVIATION_LENGTH = 8
MAX_WORD_LENGTH = 20

_CLOSING = "\"'”’»)\\]」』）】"
_BOUNDARY = re.compile(
    # Latin, Cyrillic, Greek …: a space follows. Possessive and matched once per run; otherwise a line of dots would
    # take a second.
    rf"(?<![.!?…])(?P<stop>[.!?…]++)[{_CLOSING}]*+(?=\s)"
    rf"|[。！？｡।॥؟۔]+[{_CLOSING}]*"  # Chinese, Japanese, Devanagari, Arabic, Urdu: no space needed
)
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]*\Z")
_ATOM = re.compile(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]")
_LINE = re.compile(r"[^\r\n\u2028\u2029]+")
_WORD = re.compile(r"\S{1,40}")

MAX_QUESTION_LENGTH = 80
"""Maximum length of a piece that only asks. Without this limit, the rule costs as much as it gains."""

_QUESTION = re.compile(
    r"(?:[?\uff1f\ufe56\u061f\u037e\u2047-\u2049\u203d\u2e2e\u1367\u055e\u1945\ua60f\ua6f7]"
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff]);)"  # most people type ; as the Greek question mark
    r"[\W_]*\Z"
)
"""A question mark of any script, after which only punctuation, emoji and whitespace follow."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The text `content[start:end]`. `text` is what the model embeds: the same text, after the lead if there is one."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    lead: str
    named: bool = False
    """True if the text of the span already begins with the lead."""


def pieces_of(content: str, lead: str = "") -> list[Piece]:
    """Cut `content` into pieces in order. Every character that is not blank is in exactly one piece.

    `lead` (see `lead_of`) is put before the pieces whose own line names no speaker.
    """
    sentences = [part for line in _lines(content, lead) for part in _sentences(content, line)]
    spans = [part for span in _joined_when_short(sentences) for part in _cut(content, span)]
    if len(spans) > MAX_SENTENCE_PIECES:
        length = min(max(PACKED_LENGTH, len(content) // PACKED_PIECES), MAX_PIECE_LENGTH)
        spans = _packed(content, spans, length)
    return [Piece(span.start, span.end, _text(content, span)) for span in spans]


def lead_of(content: str, speaker_or_title: str | None) -> str:
    """Return the text to put before the pieces: the speaker or title, or "" if the text itself names a speaker."""
    if speaker_or_title is None or _lead_in(content):
        return ""
    return " ".join(speaker_or_title.split()).rstrip(":：")[:MAX_LEAD_LENGTH].strip()


def lead_from(content: str, details: Mapping[str, object]) -> str:
    """Return `lead_of` for the first of `SPEAKERS` that the metadata has."""
    named = (value for key in SPEAKERS if isinstance(value := details.get(key), str) and value.strip())
    return lead_of(content, next(named, None))


def only_asks(piece: str) -> bool:
    """Return whether a piece only asks a question. Then only half of its similarity counts.

    Questions resemble other questions: "Where did you go?" is closer to "When did she go?" than any answer is. A long
    piece that ends in a question mark also holds facts ("I moved to Lyon in May, did you know?"), so it counts fully.
    docs/benchmarks.md shows what the rule gains.
    """
    return len(piece) <= MAX_QUESTION_LENGTH and _QUESTION.search(piece) is not None


def length_penalty(pieces: int) -> float:
    """Return what to subtract from the similarity of a memory with this many pieces, 0 up to `UNPENALIZED_PIECES`.

    The best of many pieces is close to any question by chance: the best of n random similarities lies about
    DEVIATION * sqrt(2 ln n) above their mean. A penalty from the second piece on would cost three points of recall
    where long memories hold the answers, because a long memory also answers more questions.
    """
    return max(_best_by_chance(pieces) - _best_by_chance(UNPENALIZED_PIECES), 0.0)


def _best_by_chance(pieces: int) -> float:
    return DEVIATION * math.sqrt(2 * math.log(max(pieces, 1)))


def _lines(content: str, lead: str) -> Iterator[_Span]:
    """Yield the lines. A line that names no speaker gets the last named one as its lead."""
    for match in _LINE.finditer(content):
        speaker = _lead_in(match[0])
        lead = speaker or lead
        yield _Span(match.start(), match.end(), lead, named=bool(speaker))


def _lead_in(line: str) -> str:
    """Return the speaker that the line begins with ("Caroline: …", "Dr. Li: …", "user: …", "小明：…"), or ""."""
    name, colon, rest = line[: MAX_LEAD_LENGTH + 2].lstrip().replace("：", ": ").partition(": ")
    words = name.split()
    if not colon or not rest.strip() or not 1 <= len(words) <= 3 or not all(map(_is_name_word, words)):
        return ""
    named = len(words) == 1 or all(not word[0].islower() for word in words)
    return name if named and not words[0][0].isdigit() else ""


def _is_name_word(word: str) -> bool:
    return all(unicodedata.category(char)[0] in "LMN" or char in ".'’-_" for char in word)


def _sentences(content: str, line: _Span) -> Iterator[_Span]:
    start, named = line.start, line.named
    for match in _BOUNDARY.finditer(content, line.start, line.end):
        if match["stop"] != "." or not _abbreviates(content, start, match.start()):
            yield from _stripped(content, _Span(start, match.end(), line.lead, named))
            start, named = match.end(), False
    yield from _stripped(content, _Span(start, line.end, line.lead, named))


def _abbreviates(content: str, start: int, stop: int) -> bool:
    """Return whether the period at `stop` belongs to a word ("Dr.", "J.") or list number ("3."), not a sentence."""
    before = content[max(start, stop - MAX_ABBREVIATION_LENGTH) : stop]
    match = _LAST_WORD.search(before)
    word = match[0].lower() if match else ""
    is_list_number = word.isdigit() and content[start:stop].strip() == word
    is_before_number = word in BEFORE_A_NUMBER and content[stop + 1 : stop + 3].strip().isdigit()
    is_initial = len(word) == 1 and word.isalpha() and word != "i"
    return is_list_number or is_before_number or is_initial or word in ABBREVIATIONS


def _stripped(content: str, span: _Span) -> Iterator[_Span]:
    """Yield the span without surrounding blanks, or nothing if it is blank."""
    text = content[span.start : span.end]
    start = span.start + len(text) - len(text.lstrip())
    if text.strip():
        yield replace(span, start=start, end=start + len(text.strip()))


def _joined_when_short(spans: Iterable[_Span]) -> list[_Span]:
    """Join short sentences to a neighbor of the same speaker."""
    joined: list[_Span] = []
    for span in spans:
        before = joined[-1] if joined else None
        if (
            before
            and before.lead == span.lead
            and not span.named
            and min(_spoken_length(before), _spoken_length(span)) < SHORT_SENTENCE_LENGTH
        ):
            joined[-1] = replace(before, end=span.end)
        else:
            joined.append(span)
    return joined


def _spoken_length(span: _Span) -> int:
    """Return the number of characters without the speaker's name."""
    return span.end - span.start - (len(span.lead) + 2 if span.named else 0)


def _cut(content: str, span: _Span) -> list[_Span]:
    """Cut a long sentence between words, and a long word anywhere."""
    if span.end - span.start <= MAX_PIECE_LENGTH and _tokens(_text(content, span)) <= MAX_PIECE_TOKENS:
        return [span]
    words = _WORD.finditer(content, span.start, span.end)
    first, *rest = [_Span(word.start(), word.end(), span.lead) for word in words]
    return _packed(content, [replace(first, named=span.named), *rest], MAX_PIECE_LENGTH)


def _packed(content: str, spans: Iterable[_Span], length: int) -> list[_Span]:
    """Join neighbors while they have at most `length` characters and fit the model."""
    packed: list[_Span] = []
    room = 0
    for span in spans:
        cost = _tokens(content[span.start : span.end])
        if packed and cost <= room and span.end - packed[-1].start <= length:
            packed[-1] = replace(packed[-1], end=span.end)
        else:
            packed.append(span)
            room = MAX_PIECE_TOKENS - (0 if span.named else _tokens(span.lead) + 1)
        room -= cost
    return packed


def _text(content: str, span: _Span) -> str:
    text = content[span.start : span.end]
    return text if span.named or not span.lead else f"{span.lead}: {text}"


def _tokens(text: str) -> int:
    """Return an estimate of the tokens that is rather too high: one for two letters of a word, one for any other
    character.
    """
    return sum(map(_atom_tokens, _ATOM.findall(text)))


def _atom_tokens(atom: str) -> int:
    if not atom.isascii():
        return len(characters.normalize("NFD", atom))  # the tokenizer splits a Korean syllable into three
    return (len(atom) + 1) // 2 if len(atom) <= MAX_WORD_LENGTH else len(atom)
