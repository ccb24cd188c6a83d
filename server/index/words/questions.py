"""Reads questions: which terms the word index looks for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from server.index.words import emoji, months, notations
from server.index.words.normalization import normalize
from server.index.words.spellings import (
    LEAST_IN_QUESTION,
    in_latin,
    is_certainly_serbian,
    is_cyrillic,
    spelled_out,
    without_prefixes,
)
from server.index.words.tokenizer import MARKS, STOP_WORDS, UNSPACED, compounds_of, spaced, terms_of_compound

MAX_QUESTION_TERMS = 32
"""A search looks for at most this many terms of a question, the rarest ones. With more terms, results get worse."""

MAX_CANDIDATES = 200
"""The rarest terms are chosen from at most this many."""

MOST_IN_PAIRS = 12
"""Of a question with more words, no neighbors are looked for as one word, because they would displace other terms."""

PARTICLES = frozenset(("in", "out", "up", "off", "on", "down", "over"))
"""The stop words that end other words, such as `login`."""

LEAST_BEGINNING, LEAST_FOREIGN_BEGINNING = 6, 4
"""The fewest letters or digits with which words may begin: in ASCII, and in other scripts."""

_VERSION_SIGN = re.compile(r"(?<![^\W_])[vV](?=\d+\.\d)")
"""Half of the texts write 4.0 for v4.0."""

_VOWELS = "aeiouyаеиіїоуыэюяєαεηιουωաեէըիոაეიოუ"
_LAST_SIGNS = re.compile(f"(?:\u0bae\u0bcd|[{MARKS}]+)$")
"""Vowel signs and the like at the end of a word, and the Tamil m: before an ending, they change or are missing."""


@dataclass(frozen=True, slots=True)
class Question:
    """The terms of a question. `wholes` are terms that repeat others: `OPS-4417` has the terms ops, 4417 and the whole
    ops4417, `Müller` has muller and the whole mueller, and `кључ` has kljuc and the whole ключ. `whole_of` has the
    whole of each term that the question asks only as a part, of a Hebrew, Arabic or Amharic word with prefixes the word
    without them, and of a month its English name. `pairs` has the two words of each whole that a text may have instead
    of them: `data base` has the whole database.
    """

    terms: list[str]
    wholes: frozenset[str]
    whole_of: dict[str, str]
    pairs: dict[str, tuple[str, str]]


def question_terms(question: str) -> list[str]:
    """Return the different terms of a question, without stop words unless it has only stop words."""
    return read_question(question).terms


def read_question(question: str) -> Question:
    """Return at most `MAX_CANDIDATES` terms of a question, preferring terms with digits and the longest ones.

    Stop words are left out, unless there are no other terms.
    """
    question = _VERSION_SIGN.sub("", question)
    by_compound = _question_terms_of(question)
    latin = in_latin(question)
    latin_terms = _flat(_question_terms_of(latin))
    bare = without_prefixes(normalize(question), LEAST_IN_QUESTION)
    dates = months.in_english(question)
    added = " ".join((*(word for _, word in bare), *(date for _, _, date in dates)))
    in_notations = notations.others(f"{question} {added}")
    others = f"{spelled_out(f'{question} {latin}')} {in_notations} {added} {emoji.names(question)}"
    own = list(dict.fromkeys(term for terms in by_compound for term in terms))
    pairs = {first + second: (first, second) for first, second in _pairs(by_compound) if first + second not in own}
    other_terms = latin_terms | _flat(_question_terms_of(others)) | pairs.keys()
    terms = [*own, *sorted(other_terms.difference(own))]
    terms = [term for term in terms if term not in STOP_WORDS] or terms
    if len(terms) > MAX_CANDIDATES:
        terms = sorted(terms, key=lambda term: (term.isalpha(), -len(term)))[:MAX_CANDIDATES]
    parts = {term for terms in by_compound for term in terms[:-1]}
    wholes = {terms[-1] for terms in by_compound if len(terms) > 2 and not UNSPACED.search(terms[-1])} - parts
    repeats = other_terms.difference(own)
    if latin and is_certainly_serbian(question):  # every memory in Serbian also has the words in Latin letters
        repeats = repeats - latin_terms | set(filter(is_cyrillic, own))
    whole_of = {part: terms[-1] for terms in by_compound if terms[-1] in wholes for part in terms[:-1]}
    for part in {term for terms in by_compound if terms[-1] not in wholes for term in terms}:
        whole_of.pop(part, None)
    return Question(
        terms, frozenset(wholes | repeats), whole_of | dict(bare) | {name: month for name, month, _ in dates}, pairs
    )


def _pairs(by_compound: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Yield the neighboring words of a short question that a text may have as one, such as `data base` and `log in`."""
    if len(by_compound) <= MOST_IN_PAIRS:
        words = [terms[0] if len(terms) == 1 and terms[0].isalpha() else "" for terms in by_compound]
        for first, second in pairwise(words):
            can_follow = second not in STOP_WORDS or second in PARTICLES
            if first not in STOP_WORDS and can_follow and first != first.upper() and second != second.upper():
                yield first, second


def _flat(by_compound: list[list[str]]) -> set[str]:
    return {term for terms in by_compound for term in terms}


def _question_terms_of(question: str) -> list[list[str]]:
    return [terms_of_compound(compound, is_question=True) for compound in compounds_of(spaced(question))]


def beginning_of(term: str) -> str:
    """Return how the words begin that may be other forms of a term that no memory holds. "" if too many would.

    Most languages have endings, which no stemmer here removes, and German joins words. So a term loses the letters that
    an ending may have changed, the more of them the longer it is: `tabletka` begins tabletki, `anahtarlar` anahtarı,
    `пятниц` пятница and пятницу. Scripts without cases also lose the last vowel signs.
    """
    is_ascii = term.isascii()
    if len(term) < (LEAST_BEGINNING if is_ascii else LEAST_FOREIGN_BEGINNING) or UNSPACED.search(term):
        return ""
    if is_ascii and (not term.isalpha() or notations.is_code(term)):
        return term
    if term.upper() == term:
        bare = _LAST_SIGNS.sub("", term)
        bare = bare[:-2] if len(bare) >= 6 else bare
        return bare if len(bare) >= LEAST_FOREIGN_BEGINNING else term
    shortest = LEAST_BEGINNING if is_ascii else LEAST_FOREIGN_BEGINNING + 1
    loses_a_letter = len(term) > shortest or (len(term) == shortest and term[-1] in _VOWELS)
    return term[: len(term) - loses_a_letter - (len(term) >= 8) - (len(term) >= 10)]
