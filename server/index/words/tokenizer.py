"""The tokenizer of the word index: it cuts texts and questions into terms. The database then stems each term."""

import re
import unicodedata
from datetime import datetime

MAX_QUESTION_TERMS = 32
"""A search looks for at most this many terms of a question: more terms blur the result."""

MAX_INDEXED_BYTES = 1_000_000
"""The estimated size of the terms that one text adds to the index. Postgres accepts 1 MB in one tsvector."""

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
"""Scripts without spaces between words: Thai, Lao, Khmer, Japanese, Chinese."""


def terms_of(text: str) -> list[str]:
    """Return the terms of a text in order, in lower case.

    A term is a word, or two neighboring characters of a script without spaces.
    """
    terms: list[str] = []
    for word in _TERM.findall(unicodedata.normalize("NFKC", text).lower()):
        terms += [word] if word.isascii() or not _UNSPACED.search(word) else _split_unspaced(word)
    return terms


def indexed_terms(text: str) -> list[str]:
    """Return the first terms of a text, as many as fit into `MAX_INDEXED_BYTES`.

    The vectors of a longer text still cover what is cut off here.
    """
    terms = terms_of(text)
    bytes_left = MAX_INDEXED_BYTES
    seen = set[str]()
    for position, term in enumerate(terms):
        bytes_left -= 2 if term in seen else len(term.encode()) + 5
        if bytes_left < 0:
            return terms[:position]
        seen.add(term)
    return terms


def question_terms(question: str) -> list[str]:
    """Return the first `MAX_QUESTION_TERMS` different terms of a question, without stop words."""
    return [term for term in dict.fromkeys(terms_of(question)) if term not in STOP_WORDS][:MAX_QUESTION_TERMS]


def date_words(moment: datetime) -> str:
    """Return a UTC date as people say it: `Monday 8 May 2023`."""
    return f"{moment:%A} {moment.day} {moment:%B} {moment.year}"


def _split_unspaced(word: str) -> list[str]:
    """Split `word` where an unspaced script begins or ends, and split the unspaced parts into pairs."""
    parts: list[str] = []
    end = 0
    for match in _UNSPACED.finditer(word):
        parts += [word[end : match.start()], *_pairs(match[0])]
        end = match.end()
    return [part for part in (*parts, word[end:]) if part]


def _pairs(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(len(run) - 1)] or [run]
