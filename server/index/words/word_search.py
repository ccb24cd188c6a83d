"""Searches by words: finds which memories of a project hold a question's terms, and how well they match (BM25).

The index scores each term by itself. This module weighs a term by its rarity in the project and adds up the scores of a
memory. So other projects do not slow a search down. On SQLite, the mean length of their memories counts (see `fts5`).

    coverage = sum(rarity(t) * credit(t)) / sum(rarity(t))
    credit(t) = least(t) + (1 - least(t)) * score(t), or 0 where the memory does not hold t
    least(t) = rarity(t) / rarity of a term that one memory holds

A term that no memory of the project holds is looked for as the beginning of words, and its credits are 0.7 of these.

SQLite's index scores a frequent term higher, and a term of a long memory lower. That is right for a common word, which
a long memory holds by chance. A rare word, such as an order number, counts fully in a memory of any length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.database import as_json, is_sqlite, numbers_in
from server.index.best import positions_of
from server.index.types import Places
from server.index.words import window
from server.index.words.backend import word_index_of
from server.index.words.protocol import TermScores, WordIndex
from server.index.words.tokenizer import MAX_QUESTION_TERMS, Question, beginning_of, read_question
from server.models import metadata
from server.statements import Query

MAX_ROWS = 1500
"""A search scores at most about this many rows, so that its cost is limited. The rarest terms go first."""

COUNT_ABOVE_MEMORIES = MAX_ROWS
"""In a project with more memories than this, a search first counts the matches of each term.

It then leaves out the most common terms. In a smaller project no term can have more than `MAX_ROWS` matches.
"""

COUNT_AT_MOST = 10_000
"""The matches of a term are counted up to this number, because larger counts do not matter for choosing the rarest
terms.
"""

BEGINNING_CREDIT = 0.7
"""A word that begins with a term may be another word."""

NEAR_NUMBERS = 100
"""If the places of a project's memories are not in memory, those of its matches are read, but only of matches that were
stored at most this many memories before or after another match. Other matches are hardly ever neighbors.
"""

COVERAGE_POWER = 1.25
"""A fifth of the words counts for an eighth only, because memories that answer nothing often hold some of the words."""

Term = TypeVar("Term", str, int)
"""A term, or its position."""

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
    if memory_count > COUNT_ABOVE_MEMORIES:
        counts, narrowed = _rarest(session, index, project_id, terms), allowed
    else:
        # Fetch all matches, not only the allowed ones: their number is the count of the term.
        counts, narrowed = dict.fromkeys(terms, 0), None
    scores = index.scores(session, project_id, counts, MAX_ROWS, narrowed)
    lacking = scores.counts == 0
    scores = _with_beginnings(session, index, project_id, [*counts], scores)
    rows = _rows(scores, memory_count, _repeating(asked, [*counts], scores), np.where(lacking, BEGINNING_CREDIT, 1.0))
    positions = np.arange(len(rows.numbers))
    if allowed is not None:
        positions = np.flatnonzero(np.isin(rows.numbers, np.asarray(allowed, np.int64)))
    if not len(positions):
        return NO_MATCHES
    windows = windows_of(session, rows, positions, known)
    return WordMatches(rows.numbers[positions], rows.shares[positions], windows, asked=True)


def _repeating(asked: Question, terms: Sequence[str], scores: TermScores) -> NDArray[np.bool_]:
    """Return which terms repeat others, so that they do not count where the project lacks them: a whole repeats its
    parts, and a part repeats a whole that the project has.
    """
    present = {term for term, count in zip(terms, scores.counts.tolist(), strict=True) if count}
    return np.array([term in asked.wholes or asked.whole_of.get(term) in present for term in terms])


def windows_of(session: Session, rows: Rows, positions: NDArray[np.intp], known: Places) -> NDArray[np.float32]:
    """Return the windows of the rows at these positions. Places that are not `known` are read from the database."""
    places = _places(session, rows.numbers, known)
    covered = window.windows(places, rows.credits, rows.rarities, places[positions])
    return np.asarray(covered**COVERAGE_POWER, np.float32)


def _choose(session: Session, index: WordIndex, project_id: str, terms: Sequence[str]) -> Sequence[str]:
    """Return the rarest `MAX_QUESTION_TERMS` terms, but prefer any term that the project has to those that it lacks."""
    if len(terms) <= MAX_QUESTION_TERMS:
        return terms
    counts = index.counts(session, project_id, terms, COUNT_AT_MOST)
    by_rarity = sorted(zip(counts, terms, strict=True), key=lambda counted: (counted[0] == 0, counted[0]))
    return [term for _, term in by_rarity[:MAX_QUESTION_TERMS]]


def _rarest(session: Session, index: WordIndex, project_id: str, terms: Sequence[str]) -> dict[str, int]:
    """Return the rarest terms that together have at most `MAX_ROWS` matches, rarest first, with their counts.

    If every term that the project has is more common, return the rarest of these. Only its matches are counted to the
    end: counting those of all common terms takes longer the larger the project is.
    """
    counts = index.counts(session, project_id, terms, MAX_ROWS + 1)
    rarest = _fitting(counts, terms)
    common = [term for count, term in zip(counts, terms, strict=True) if count > MAX_ROWS]
    if common and not any(rarest.values()):
        _, term = min(zip(index.counts(session, project_id, common, COUNT_AT_MOST), common, strict=True))
        (rarest[term],) = index.counts(session, project_id, [term])
    return rarest


def _fitting(counts: Sequence[int], terms: Sequence[Term]) -> dict[Term, int]:
    """Return the rarest terms that together have at most `MAX_ROWS` matches, rarest first, with their counts."""
    rarest: dict[Term, int] = {}
    for count, term in sorted(zip(counts, terms, strict=True)):
        if sum(rarest.values()) + count <= MAX_ROWS:
            rarest[term] = count
    return rarest


def _with_beginnings(
    session: Session, index: WordIndex, project_id: str, terms: Sequence[str], scores: TermScores
) -> TermScores:
    """Return the scores, and for the terms that the project lacks those of the words that begin with them."""
    lacking = np.flatnonzero(scores.counts == 0).tolist()
    begun = {place: beginning for place in lacking if (beginning := beginning_of(terms[place]))}
    if not begun:
        return scores
    found = index.scores_of_beginnings(session, project_id, [*begun.values()], MAX_ROWS)
    fitting = [*_fitting(found.counts.tolist(), range(len(begun)))]
    places = np.array([*begun], np.intp)
    counts = scores.counts.copy()
    counts[places[fitting]] = found.counts[fitting]
    kept = np.isin(found.terms, fitting)
    return TermScores(
        np.concatenate([scores.terms, places[found.terms[kept]]]),
        np.concatenate([scores.numbers, found.numbers[kept]]),
        np.concatenate([scores.scores, found.scores[kept]]),
        counts,
    )


def _rows(scores: TermScores, memory_count: int, repeating: NDArray[np.bool_], most: NDArray[np.float64]) -> Rows:
    """Add up the credits of each memory, each times the rarity (IDF) of its term in the project. `most` is the largest
    credit of each term.
    """
    rarities = _rarities(memory_count, scores.counts)
    rarities[repeating & (scores.counts == 0)] = 0.0
    numbers, positions = np.unique(scores.numbers, return_inverse=True)
    least = np.minimum(rarities / _rarities(memory_count, np.ones(1)), 1.0)[scores.terms]
    credits = np.zeros((len(numbers), len(rarities)))
    credits[positions, scores.terms] = most[scores.terms] * (least + (1 - least) * np.minimum(scores.scores, 1.0))
    return Rows(numbers, credits, rarities)


def _rarities(memory_count: int, counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return the inverse document frequency of terms, each in `counts` of the project's memories."""
    others = np.maximum(memory_count, counts) - counts
    return np.asarray(np.log1p((others + 0.5) / (counts + 0.5)), np.float64)


def _places(session: Session, numbers: NDArray[np.int64], known: Places) -> NDArray[np.int64]:
    """Return the places of these memories (numbers, ascending). A memory that no longer exists, or is far from all
    others, gets a place far from all others.
    """
    positions, is_known = positions_of(numbers, known.numbers)
    if is_known.all():
        return known.places[positions]
    places = np.arange(1, len(numbers) + 1) * -2 * window.REACH
    places[is_known] = known.places[positions[is_known]]
    is_near = np.diff(numbers) <= NEAR_NUMBERS
    unknown = ~is_known & (np.append(is_near, False) | np.insert(is_near, 0, False))
    if unknown.any():
        wanted = as_json(numbers[unknown].tolist())
        rows = _places_query(is_sqlite(session)).rows(session, numbers=wanted)
        stored = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 2)
        places[np.searchsorted(numbers, stored[:, 0])] = stored[:, 1]
    return places


@cache
def _places_query(sqlite: bool) -> Query:
    number = _memories.c.number
    return Query(sa.select(number, _memories.c.place).where(number.in_(numbers_in(sqlite, "numbers"))))
