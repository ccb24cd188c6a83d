"""Finds memories by other words where the project lacks those of the question: by words that begin as they do or are
other forms of theirs, then by words that differ by a letter.

A question and a memory may both be misspelled: `reciept`, `enviroment`, or `whatsapp` for Whats app.
"""

import re
from collections.abc import Sequence
from itertools import islice
from string import ascii_lowercase

import numpy as np
from sqlmodel import Session

from server.index.words.protocol import TermMatches, WordIndex
from server.index.words.questions import LEAST_BEGINNING, beginning_of

_CYRILLIC_NOUN = re.compile("([\u0430-\u0457]{2,3}?)[аеийояь]?")
_LONG_ENDINGS = ("ам", "ами", "ах", "ев", "ей", "ем", "ею", "ём", "ів", "ов", "ой", "ом", "ою", "ью", "ям", "ями", "ях")
_ENDINGS = ("", *"аеёиіїйоуыьюя", *_LONG_ENDINGS)
"""Those of nouns in Russian and Ukrainian."""

MOST_MISSPELLED = 2
"""If a project lacks more words of a question than this, they are hardly all misspelled."""

MOST_SPELLINGS = 400
"""So many spellings of a word are looked for, which takes up to 20 ms. A word of ten letters has 300."""


def with_beginnings(
    session: Session, index: WordIndex, project_id: str, terms: Sequence[str], matches: TermMatches, at_most: int
) -> TermMatches:
    """Return the matches, and for the terms that the project lacks those of the words that begin with them, or of their
    forms.
    """
    lacking = np.flatnonzero(matches.counts == 0).tolist()
    formed = {place: forms for place in lacking if (forms := forms_of(terms[place]))}
    begun = {place: beginning for place in lacking if (beginning := beginning_of(terms[place]))}
    if formed:
        matches = _added(matches, index.spelled(session, project_id, [*formed.values()], at_most), [*formed], at_most)
    if begun:
        matches = _added(matches, index.beginnings(session, project_id, [*begun.values()], at_most), [*begun], at_most)
    return matches


def with_misspelled(
    session: Session, index: WordIndex, project_id: str, terms: Sequence[str], matches: TermMatches, at_most: int
) -> TermMatches:
    """Return the matches of other spellings of the terms, none of which the project has."""
    spelled = {place: spellings for place, term in enumerate(terms) if (spellings := spellings_of(term))}
    if not 0 < len(spelled) <= MOST_MISSPELLED:
        return matches
    return _added(matches, index.spelled(session, project_id, [*spelled.values()], at_most), [*spelled], at_most)


def _added(matches: TermMatches, found: TermMatches, terms: Sequence[int], at_most: int) -> TermMatches:
    """Return the matches, and those that were found for these terms, if they are at most `at_most`."""
    fitting = found.fitting(at_most)
    places = np.array(terms, np.intp)
    counts = matches.counts.copy()
    counts[places[fitting]] = np.maximum(counts[places[fitting]], found.counts[fitting])
    kept = np.isin(found.terms, fitting)
    return TermMatches(
        np.concatenate([matches.terms, places[found.terms[kept]]]),
        np.concatenate([matches.numbers, found.numbers[kept]]),
        counts,
    )


def forms_of(term: str) -> list[str]:
    """Return the forms of a short Cyrillic noun, of whose beginning there are too many other words: кота and котом for
    кот, рыбу for рыба.
    """
    noun = _CYRILLIC_NOUN.fullmatch(term)
    return [noun[1] + ending for ending in _ENDINGS] if noun else []


def spellings_of(term: str) -> list[str]:
    """Return how a word may be spelled if it is misspelled: with two neighboring letters in the other order, with a
    space, with a letter less, with another vowel, or with a letter more. The first letter is hardly ever wrong, and the
    stemmer takes the last one for an ending.
    """
    if len(term) < LEAST_BEGINNING or not term.isalpha() or term.upper() == term:
        return []
    halves = [(term[:place], term[place:]) for place in range(1, len(term) - 1)]
    spellings = [start + rest[1] + rest[0] + rest[2:] for start, rest in halves]
    spellings += [f"{start} {rest}" for start, rest in halves[1:]]
    spellings += [start + rest[1:] for start, rest in halves]
    if term.isascii():
        vowels = [(start, rest[1:]) for start, rest in halves if rest[0] in "aeiouy"]
        spellings += [start + vowel + rest for start, rest in vowels for vowel in "aeiouy"]
        spellings += [start + letter + rest for start, rest in halves for letter in ascii_lowercase]
    return [*islice((spelling for spelling in dict.fromkeys(spellings) if spelling != term), MOST_SPELLINGS)]
