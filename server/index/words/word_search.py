"""Searches by words: finds which memories of a project hold a question's terms, and how well they match (BM25).

The index scores each term by itself. This module weighs a term by its rarity in the project and adds up the scores of a
memory. So other projects neither influence the results nor slow a search down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.database import as_json
from server.index.best import best_of, positions_of
from server.index.types import Places
from server.index.words.backend import word_index_of
from server.index.words.context import NumbersIn
from server.index.words.protocol import TermScores, WordIndex
from server.index.words.tokenizer import MAX_QUESTION_TERMS, read_question
from server.index.words.window import windows
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


_memories = metadata.tables["memories"]


class Rows(NamedTuple):
    """All memories that hold a term, allowed or not, because the windows of other memories need them.

    `numbers` are ascending. For `held` and `rarities` see the module `window`.
    """

    numbers: NDArray[np.int64]
    held: NDArray[np.float64]
    rarities: NDArray[np.float64]


class Windows(NamedTuple):
    """The windows of some memories, 0 to 1. The numbers are in no order, and some are there twice."""

    numbers: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WordMatches:
    """The allowed memories that hold a term of the question: their `numbers`, ascending, and each one's `shares`.

    `share = bm25 / bm25(best) × coverage(best)`. Coverage is the part of the question's terms that the best match
    holds, weighted by their rarity. A share of 1 means every term; one common word of five gives a low share.
    """

    numbers: NDArray[np.int64]
    shares: NDArray[np.float32]
    rows: Rows
    asked: bool
    """True if the question had a term to search for."""

    def best(self, count: int) -> NDArray[np.int64]:
        """Return the numbers of the `count` best matches, in any order."""
        return best_of(self.numbers, self.shares, count)


_NO_ROWS = Rows(np.empty(0, np.int64), np.empty((0, 0)), np.empty(0))
NO_TERMS = WordMatches(_NO_ROWS.numbers, np.empty(0, np.float32), _NO_ROWS, asked=False)
"""The result for a question without terms, such as one of punctuation alone."""

NO_MATCHES = replace(NO_TERMS, asked=True)


def search(
    session: Session, project_id: str, memory_count: int, question: str, allowed: Sequence[int] | None
) -> WordMatches:
    """Search the project's memories, or only the `allowed` ones. `memory_count` is the size of the whole project."""
    asked = read_question(question)
    if not asked.terms:
        return NO_TERMS
    index = word_index_of(session)
    terms = _choose(session, index, project_id, asked.terms)
    if memory_count > COUNT_ABOVE_MEMORIES:
        counts = _rarest(session, index, project_id, terms)
        scores = index.scores(session, project_id, counts, MAX_ROWS, allowed)
    else:
        # Fetch all matches, not only the allowed ones: their number is the count of the term.
        counts = dict.fromkeys(terms, 0)
        scores = index.scores(session, project_id, counts, MAX_ROWS, None)
    return _matches(index, scores, memory_count, allowed, np.array([term in asked.wholes for term in counts]))


def windows_of(session: Session, matches: WordMatches, also: NDArray[np.int64], known: Places) -> Windows:
    """Return the windows of the matches, and of the memories `also`, which may hold no term themselves.

    Places that are not in `known` are read from the database.
    """
    rows = matches.rows
    if not len(rows.numbers):
        return Windows(rows.numbers, np.empty(0, np.float32))
    wanted = np.concatenate([matches.numbers, also])
    own = _places(session, rows.numbers, known)
    matching = own if matches.numbers is rows.numbers else _places(session, matches.numbers, known)
    places = np.concatenate([matching, _places(session, also, known)])
    return Windows(wanted, windows(own, rows.held, rows.rarities, places).astype(np.float32))


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
    rarest: dict[str, int] = {}
    for count, term in sorted(zip(counts, terms, strict=True)):
        if sum(rarest.values()) + count <= MAX_ROWS:
            rarest[term] = count
    common = [term for count, term in zip(counts, terms, strict=True) if count > MAX_ROWS]
    if common and not any(rarest.values()):
        _, term = min(zip(index.counts(session, project_id, common, COUNT_AT_MOST), common, strict=True))
        (rarest[term],) = index.counts(session, project_id, [term])
    return rarest


def _matches(
    index: WordIndex,
    matches: TermScores,
    memory_count: int,
    allowed: Sequence[int] | None,
    wholes: NDArray[np.bool_],
) -> WordMatches:
    """Add up the scores of each memory, each times the rarity (IDF) of its term in the project."""
    counts = matches.counts
    rarities = np.log1p((np.maximum(memory_count, counts) - counts + 0.5) / (counts + 0.5))
    rarities[wholes & (counts == 0)] = 0.0  # the question has their parts as terms of their own
    if not len(matches.numbers):
        return NO_MATCHES
    numbers, positions = np.unique(matches.numbers, return_inverse=True)
    parts = np.zeros((len(numbers), len(counts)))
    parts[positions, matches.terms] = matches.scores
    held = np.zeros_like(parts)
    held[positions, matches.terms] = index.window_weights(matches.scores)
    rows = Rows(numbers, held, rarities)
    if allowed is not None:
        kept = np.isin(numbers, np.asarray(allowed, np.int64))
        numbers, parts = numbers[kept], parts[kept]
    if not len(numbers):
        return replace(NO_MATCHES, rows=rows)
    sums = parts @ rarities
    best = int(sums.argmax())
    coverage = rarities[parts[best] > 0].sum() / rarities.sum()
    shares = sums * (coverage / max(sums[best], 1e-9))
    return WordMatches(numbers, shares.astype(np.float32), rows, asked=True)


def _places(session: Session, numbers: NDArray[np.int64], known: Places) -> NDArray[np.int64]:
    """Return the places of these memories. A memory that no longer exists has the place -1."""
    positions, is_known = positions_of(numbers, known.numbers)
    if is_known.all():
        return known.places[positions]
    places = np.empty(len(numbers), np.int64)
    places[is_known] = known.places[positions[is_known]]
    unknown = numbers[~is_known].tolist()
    query = _places_query(word_index_of(session).numbers_in)
    stored = {row[0]: row[1] for row in query.rows(session, numbers=as_json(unknown))}
    places[~is_known] = [stored.get(number, -1) for number in unknown]
    return places


@cache
def _places_query(numbers_in: NumbersIn) -> Query:
    return Query(sa.select(_memories.c.number, _memories.c.place).where(_memories.c.number.in_(numbers_in("numbers"))))
