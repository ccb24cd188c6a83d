"""Terms: the words of a text as the words index keeps them, and those of a question that are worth looking for."""

import re
import unicodedata
from datetime import datetime

MOST_ASKED = 32
"""The most terms of one question that are looked for: more only blur it."""

_STOP = (
    "a about after again all am an and any are aren as at be because been before being both but by can could d "
    "did do does doing don down during each few for from further had has have having he her here hers herself him "
    "himself his how i if in into is isn it its itself just ll m me more most my myself no nor not now of off on "
    "once only or other our ours ourselves out over own re s same she should so some such t than that the their "
    "theirs them themselves then there these they this those through to too under until up ve very was we were "
    "what when where which while who whom why will with would you your yours yourself yourselves "
)
STOP_WORDS = frozenset(_STOP.split())

_MARKS = "".join(chr(code) for code in range(0x300, 0x1C00) if unicodedata.category(chr(code))[0] == "M")
_TERM = re.compile(f"[^\\W_](?:[^\\W_]|[{_MARKS}])*")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""Scripts written without spaces: Thai, Lao, Khmer, Japanese, Chinese."""


def terms_of(text: str) -> list[str]:
    """The words of a text in order, in lower case; a script without spaces gives each two neighbouring characters."""
    found: list[str] = []
    for term in _TERM.findall(unicodedata.normalize("NFKC", text).lower()):
        found += [term] if term.isascii() or not _UNSPACED.search(term) else _cut(term)
    return found


def question_terms(question: str) -> list[str]:
    """The different words of a question that say something, the first `MOST_ASKED`."""
    return [term for term in dict.fromkeys(terms_of(question)) if term not in STOP_WORDS][:MOST_ASKED]


def date_words(moment: datetime) -> str:
    """A date as people say it: `Monday 8 May 2023` (UTC)."""
    return f"{moment:%A} {moment.day} {moment:%B} {moment.year}"


def _cut(term: str) -> list[str]:
    """`term` at the borders of unspaced script, that itself in pairs of characters."""
    parts: list[str] = []
    end = 0
    for match in _UNSPACED.finditer(term):
        parts += [term[end : match.start()], *_pairs(match[0])]
        end = match.end()
    return [part for part in (*parts, term[end:]) if part]


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]
