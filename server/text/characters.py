"""Unicode in linear time: normal forms, and halves of characters."""

import re
import unicodedata
from functools import cache
from typing import Literal

MOST_MARKS = 30
"""How many marks may follow a letter before a joiner. No language has as many (UAX #15 section 13)."""

JOINER = "\u034f"
"""Invisible, and sorted with no other mark: the combining grapheme joiner."""

_CODES = range(0x300, 0x1F000)
"""No character outside this range has a combining class."""

AS_TYPED = str.maketrans(
    dict.fromkeys("\u2018\u2019\uff07", "'") | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014", "-")
)
"""The apostrophes and dashes that phones and word processors put in the place of those on a keyboard."""

_LOOKALIKES = AS_TYPED | {0x2BC: "'"}
"""Also the apostrophe that is a letter, as in Ukrainian."""

_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]")
"""What shows nothing itself: joiners, marks of direction, and the choice between two looks of an emoji."""

_DOTTED_I = "i\u0307"

HALF_CHARACTERS = re.compile("[\ud800-\udfff]")


def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """Return the normal form of the text, after `stream_safe`."""
    return unicodedata.normalize(form, stream_safe(text))


def as_seen(text: str) -> str:
    """Return the text in a form that is the same for texts that look the same: `case_folded`, with the apostrophes and
    dashes of a keyboard, and without invisible characters. `server.migrations` has stored labels in this form.

    Case-folding turns the Turkish İ into an i with a second dot, which is left out.
    """
    visible = text if text.isascii() else normalize("NFKC", _INVISIBLE.sub("", text))
    return case_folded(visible.translate(_LOOKALIKES)).replace(_DOTTED_I, "i")


def case_folded(text: str) -> str:
    """Return the text in NFKC, without case, with single spaces."""
    return " ".join(normalize("NFKC", text).casefold().split())


def stream_safe(text: str) -> str:
    """Return the text with a joiner after every `MOST_MARKS` marks in a row (UAX #15 section 13).

    The time of a normalization grows with the square of the number of marks on one letter: 10,000 take 0.4 s, in which
    no other thread runs. `urlsplit` normalizes too.
    """
    if len(text) <= MOST_MARKS or text.isascii():
        return text
    return _many_marks().sub(rf"\g<0>{JOINER}", text)


@cache
def _many_marks() -> re.Pattern[str]:
    forms = ((chr(code), unicodedata.normalize("NFKD", chr(code))) for code in _CODES)
    marks = "".join(character for character, form in forms if unicodedata.combining(form[0]))
    return re.compile(f"[{marks}]{{{MOST_MARKS}}}(?=[{marks}])")


def has_lone_surrogate(text: str) -> bool:
    """Return whether the text has a lone surrogate (half of a character), which no encoding can write."""
    return HALF_CHARACTERS.search(text) is not None
