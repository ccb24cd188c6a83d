"""Searches by words: finds which memories of a project hold a question's terms, and weighs each term by its rarity.

    coverage  = sum(rarity(t) * credit(t)) / sum(rarity(t))
    credit(t) = least(t) + (1 - least(t)) * chance, or 0 where the memory does not hold t
    least(t)  = rarity(t) / rarity of a term that one memory holds
    chance    = min(1, (K1 + 1) / (1 + K1 * (1 - B + B * length of the memory / mean length in the project)))

A long memory holds common words by chance, so they count less there: `chance` is what BM25 gives a word that occurs
once (Robertson and Zaragoza 2009). A rare word, such as an order number, counts fully in a memory of any length. How
often a memory repeats a word does not count. Lengths are in characters, and the mean is taken as at least 100. They are
known only of projects that are scanned exactly; else `chance` is 1.

A term that no memory of the project holds is looked for as the beginning of words, and its credits are 0.7 of these. If
this finds nothing either, all terms are looked for in other spellings (see `lacking`), and the credits are 0.4.
A memory that has two neighboring words of a short question as one word, or Wi-Fi as wifi, holds both parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.index.memory_numbers import positions_of
from server.index.types import Places
from server.index.words import window
from server.index.words.backend import word_index_of
from server.index.words.lacking import with_beginnings, with_misspelled
from server.index.words.protocol import TermMatches, WordIndex
from server.index.words.questions import MAX_QUESTION_TERMS, Question, read_question
from server.models import metadata
from server.storage.statements import Query, as_json, numbers_in

MAX_ROWS = 1500
"""In a project with more memories than this, a search considers about this many matches, so that its cost is limited.
The rarest terms go first.
"""

COUNT_AT_MOST = 10_000
"""Matches are counted up to this number, because larger counts do not matter for choosing the rarest terms."""

K1, B = 1.2, 0.75
"""How much the length of a memory matters: the usual values of BM25."""

BEGINNING_CREDIT = 0.7
"""A word that begins with a term may be another word."""

NEAR_NUMBERS = 100
"""If the places of a project's memories are not in memory, those of its matches are read, but only of matches that were
stored at most this many memories before or after a match of other terms. Other matches are hardly ever neighbors, and
a neighbor with the same terms changes nothing.
"""

MISSPELLED_CREDIT = 0.4
"""A word that differs by a letter is often another word. With this credit alone, an answer is weak among 50 memories or
more.
"""

COVERAGE_POWER = 1.25
"""A fifth of the words counts for an eighth only, because memories that answer nothing often hold some of the words."""

_memories = metadata.tables["memories"]


class Rows(NamedTuple):
    """All memories that hold a term, allowed or not, because the windows of other memories need them.

    `numbers` are ascending. For `credits` and `rarities` see the module `window`.
    """

    numbers: NDArray[np.int64]
    credits: NDArray[np.float64]
    rarities: NDArray[np.float64]

    @property
    def shares(self) -> NDArray[np.float32]:
        coverage = self.credits @ (self.rarities / self.rarities.sum())
        return np.asarray(coverage**COVERAGE_POWER, np.float32)


@dataclass(frozen=True, slots=True)
class WordMatches:
    """The allowed memories that hold a term of the question: their `numbers`, ascending, and each one's share and
    window, 0 to 1.

    `share = coverage ** COVERAGE_POWER`. A share of 1 means every term; one common word of five gives a low share. See
    the module `window` for the coverage of a window.
    """

    numbers: NDArray[np.int64]
    shares: NDArray[np.float32]
    windows: NDArray[np.float32]
    asked: bool
    """True if the question had a term to search for."""

    def only(self, numbers: NDArray[np.int64]) -> "WordMatches":
        """Keep only the memories with these numbers."""
        kept = np.isin(self.numbers, numbers)
        return WordMatches(self.numbers[kept], self.shares[kept], self.windows[kept], self.asked)


NO_TERMS = WordMatches(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32), asked=False)
"""The result for a question without terms, such as one of punctuation alone."""

NO_MATCHES = replace(NO_TERMS, asked=True)


def search(
    session: Session, project_id: str, memory_count: int, question: str, allowed: Sequence[int] | None, known: Places
) -> WordMatches:
    """Search the project's memories, or only the `allowed` ones. `memory_count` is the size of the whole project.

    Places that are not `known` are read from the database.
    """
    asked = read_question(question)
    if not asked.terms:
        return NO_TERMS
    index = word_index_of(session)
    terms = _choose(session, index, project_id, asked.terms)
    matches = index.matches(session, project_id, terms, MAX_ROWS)
    if memory_count > MAX_ROWS:
        terms, matches = _rarest(session, index, project_id, terms, matches, allowed)
    most = np.where(matches.counts == 0, BEGINNING_CREDIT, 1.0)
    words = ["" if term in asked.pairs else term for term in terms]
    matches = with_beginnings(session, index, project_id, words, matches, MAX_ROWS)
    if not matches.counts.any():
        most = np.full(len(terms), MISSPELLED_CREDIT)
        matches = with_misspelled(session, index, project_id, words, matches, MAX_ROWS)
    rows = _rows(matches, memory_count, _repeating(asked, terms, matches), most, known)
    _credit_parts(rows, terms, asked)
    positions = np.arange(len(rows.numbers))
    if allowed is not None:
        positions = np.flatnonzero(np.isin(rows.numbers, np.asarray(allowed, np.int64)))
    if not len(positions):
        return NO_MATCHES
    windows = windows_of(session, rows, positions, known)
    return WordMatches(rows.numbers[positions], rows.shares[positions], windows, asked=True)


def _repeating(asked: Question, terms: Sequence[str], matches: TermMatches) -> NDArray[np.bool_]:
    """Return which terms repeat others, so that they do not count where the project lacks them: a whole repeats its
    parts, and a part repeats a whole that the project has.
    """
    present = {term for term, count in zip(terms, matches.counts.tolist(), strict=True) if count}
    return np.array([term in asked.wholes or asked.whole_of.get(term) in present for term in terms])


def windows_of(session: Session, rows: Rows, positions: NDArray[np.intp], known: Places) -> NDArray[np.float32]:
    """Return the windows of the rows at these positions. Places that are not `known` are read from the database."""
    places = _places(session, rows, known)
    covered = window.windows(places, rows.credits, rows.rarities, places[positions])
    return np.asarray(covered**COVERAGE_POWER, np.float32)


def _choose(session: Session, index: WordIndex, project_id: str, terms: Sequence[str]) -> Sequence[str]:
    """Return the rarest `MAX_QUESTION_TERMS` terms, but prefer any term that the project has to those that it lacks."""
    if len(terms) <= MAX_QUESTION_TERMS:
        return terms
    counts = index.counts(session, project_id, terms, COUNT_AT_MOST)
    by_rarity = sorted(zip(counts, terms, strict=True), key=lambda counted: (counted[0] == 0, counted[0]))
    return [term for _, term in by_rarity[:MAX_QUESTION_TERMS]]


def _rarest(
    session: Session,
    index: WordIndex,
    project_id: str,
    terms: Sequence[str],
    matches: TermMatches,
    allowed: Sequence[int] | None,
) -> tuple[Sequence[str], TermMatches]:
    """Return the rarest terms that together have at most `MAX_ROWS` matches, with these.

    If every term that the project has is more common, return the newest matches of the rarest of these. Only that one
    is counted to the end: counting all common terms takes longer the larger the project is.
    """
    fitting = matches.fitting(MAX_ROWS)
    if matches.counts[fitting].any() or not matches.counts.any():
        return [terms[term] for term in fitting], matches.only(fitting)
    common = [term for term, count in zip(terms, matches.counts, strict=True) if count]
    _, rarest = min(zip(index.counts(session, project_id, common, COUNT_AT_MOST), common, strict=True))
    newest = index.newest(session, project_id, rarest, MAX_ROWS, allowed)
    lacking = [term for term in terms if term not in common]
    counts = np.array([*index.counts(session, project_id, [rarest]), *([0] * len(lacking))])
    return [rarest, *lacking], replace(newest, counts=counts)


def _rows(
    matches: TermMatches, memory_count: int, repeating: NDArray[np.bool_], most: NDArray[np.float64], known: Places
) -> Rows:
    """Add up the credits of each memory, each times the rarity (IDF) of its term in the project. `most` is the largest
    credit of each term.
    """
    rarities = _rarities(memory_count, matches.counts)
    rarities[repeating & (matches.counts == 0)] = 0.0
    numbers, positions = np.unique(matches.numbers, return_inverse=True)
    least = np.minimum(rarities / _rarities(memory_count, np.ones(1)), 1.0)[matches.terms]
    credits = np.zeros((len(numbers), len(rarities)))
    chances = _chances(numbers, known)[positions]
    credits[positions, matches.terms] = most[matches.terms] * (least + (1 - least) * chances)
    return Rows(numbers, credits, rarities)


def _credit_parts(rows: Rows, terms: Sequence[str], asked: Question) -> None:
    """Credit the parts of a whole, and both words of a pair, to the memories that have them as one word. That of a pair
    then counts no further.
    """
    places = {term: place for place, term in enumerate(terms)}
    credits = rows.credits
    for part, whole in asked.whole_of.items():
        if part in places and whole in places:
            credits[:, places[part]] = np.maximum(credits[:, places[part]], credits[:, places[whole]])
    for joined, pair in asked.pairs.items():
        words = [places[word] for word in pair if word in places]
        if words and joined in places:
            credits[:, words] = np.maximum(credits[:, words], credits[:, [places[joined]]])
            rows.rarities[places[joined]] = 0.0


def _chances(numbers: NDArray[np.int64], known: Places) -> NDArray[np.float64]:
    """Return what a common word counts in each of these memories; 1 if the memory's length is not known."""
    positions, is_known = positions_of(numbers, known.numbers)
    if not is_known.any():
        return np.ones(len(numbers))
    chances = (K1 + 1) / (1 + K1 * (1 - B + B * known.lengths[positions]))
    return np.where(is_known, np.minimum(chances, 1.0), 1.0)


def _rarities(memory_count: int, counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return the inverse document frequency of terms, each in `counts` of the project's memories."""
    others = np.maximum(memory_count, counts) - counts
    return np.asarray(np.log1p((others + 0.5) / (counts + 0.5)), np.float64)


def _places(session: Session, rows: Rows, known: Places) -> NDArray[np.int64]:
    """Return the places of the rows. A memory that no longer exists, or has no neighbors that matter, gets a place far
    from all others.
    """
    numbers = rows.numbers
    positions, is_known = positions_of(numbers, known.numbers)
    if is_known.all():
        return known.places[positions]
    places = np.arange(1, len(numbers) + 1) * -2 * window.REACH
    places[is_known] = known.places[positions[is_known]]
    unknown = ~is_known & _have_other_neighbors(rows)
    if unknown.any():
        wanted = as_json(numbers[unknown].tolist())
        found = _PLACES.rows(session, numbers=wanted)
        stored = np.array([tuple(row) for row in found], np.int64).reshape(-1, 2)
        places[np.searchsorted(numbers, stored[:, 0])] = stored[:, 1]
    return places


def _have_other_neighbors(rows: Rows) -> NDArray[np.bool_]:
    """Return which rows have a row with other credits at most `NEAR_NUMBERS` away."""
    numbers, credits = rows.numbers, rows.credits
    changes = np.append(0, np.cumsum((credits[1:] != credits[:-1]).any(axis=1)))
    first = np.searchsorted(numbers, numbers - NEAR_NUMBERS)
    last = np.searchsorted(numbers, numbers + NEAR_NUMBERS, side="right") - 1
    return np.asarray(changes[first] != changes[last])


_PLACES = Query(sa.select(_memories.c.number, _memories.c.place).where(_memories.c.number.in_(numbers_in("numbers"))))
