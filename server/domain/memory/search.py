"""Search: plans what to ask of words and vectors, joins both, and lets SQL decide what is answered.

The score of a memory is 0.6 of its similarity (the cosine of its best piece with the question, both without what all
the project's pieces have in common) and 0.4 of its words (BM25 in that of the best match, times how much of the
question the best match covers), clipped to 0..1: about 1 for the same text, 0.3 for the same said in other words, near
0 for what has nothing to do with it. A question without any word worth looking for is answered by similarity alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory.filters import Filters, conditions, conditions_within_project
from server.index import MemoryIndex
from server.index.exact.matrix import Numbers, Similar
from server.index.words import word_search
from server.index.words.word_search import WordMatches
from server.models import Memory
from server.principal import Principal

SIMILARITY_WEIGHT = 0.6
BY_WORDS = 100
"""The best matches of the words whose similarity is computed even when an index proposes others."""

WIDTHS = (100, 1_000, 10_000, 1 << 40)
"""How many of the best memories are looked at, again and wider, until enough pass the filters."""

LISTED = 5_000
"""Filters that leave at most so many memories are applied before anything else is asked."""

NEWEST_SCORE = 1.0
"""Of each result of an empty question: nothing is compared, so nothing is far."""

Scores = NDArray[np.float32]
_BY_NUMBER = sa.select(Memory).where(col(Memory.number).in_(sa.bindparam("numbers", expanding=True)))


class SortBy(StrEnum):
    RELEVANCE = "relevance"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """`threshold` is the least score of a result. `timestamp` orders the `limit` most relevant results newest first."""

    query: str
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    threshold: float | None = None
    sort_by: SortBy = SortBy.RELEVANCE
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A result: its score, the two parts of it (0..1 each), and the piece of the text that is most similar."""

    memory: Memory
    score: float
    similarity: float
    words: float
    piece: str


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Memories, the best first, with the parts of their scores."""

    numbers: Numbers
    scores: Scores
    similarities: Scores
    shares: Scores
    is_final: bool
    """Whether a wider look brings no more: all were looked at, or the threshold left some out already."""


def search(session: Session, principal: Principal, asked: SearchRequest, index: MemoryIndex) -> list[SearchResult]:
    """The memories that answer the question best; an empty question means the newest ones.

    Filters are applied before the limit. Raises what `require_project` does.
    """
    project = require_project(session, principal, asked.project_id, Action.READ)
    if not asked.query.strip():
        return _newest(session, conditions(asked.filters, project.id), asked.limit)
    allowed = None if asked.filters.is_empty else _allowed(session, conditions(asked.filters, project.id))
    question = index.question(session, project, asked.query, WIDTHS[0] if allowed is None else None)
    words = word_search.search(session, project.id, project.memory_count, asked.query, allowed)
    found: list[SearchResult] = []
    for width in WIDTHS:
        similar = index.similar(session, project, question, allowed, words.best(BY_WORDS), width)
        ranking = _ranked(similar, words, asked.threshold, width)
        found = _fetched(session, project.id, asked.filters, ranking, similar, asked.limit)
        if ranking.is_final or len(found) == asked.limit:
            break
    if asked.sort_by is SortBy.TIMESTAMP:
        found.sort(key=lambda one: one.memory.id, reverse=True)
    return found


def _newest(session: Session, wanted: Sequence[sa.ColumnElement[bool]], limit: int) -> list[SearchResult]:
    newest = sa.select(Memory).where(*wanted).order_by(col(Memory.id).desc()).limit(limit)
    return [SearchResult(memory, NEWEST_SCORE, 0.0, 0.0, "") for memory in session.scalars(newest)]


def _allowed(session: Session, wanted: Sequence[sa.ColumnElement[bool]]) -> Sequence[int] | None:
    """The numbers of the memories that pass the filters; None when they are too many to list."""
    numbers = session.scalars(sa.select(col(Memory.number)).where(*wanted).limit(LISTED + 1)).all()
    return numbers if len(numbers) <= LISTED else None


def _ranked(similar: Similar, words: WordMatches, threshold: float | None, width: int) -> _Ranking:
    """Both opinions joined: the `width` best (and who equals the last), the newer memory first among equals."""
    numbers, similarities, shares = _joined(similar, words)
    weight = SIMILARITY_WEIGHT if words.asked else 1.0
    scores = np.clip(weight * similarities + (1.0 - weight) * shares, 0.0, 1.0)
    least = np.partition(scores, -width)[-width] if width < len(scores) else 0.0
    best = np.flatnonzero(scores >= least)[::-1]
    order = best[np.argsort(-scores[best], kind="stable")]
    passing = len(order) if threshold is None else int(np.count_nonzero(scores[order] >= threshold))
    is_final = passing < len(order) or (similar.complete and len(order) == len(scores))
    order = order[:passing]
    return _Ranking(numbers[order], scores[order], np.clip(similarities[order], 0.0, 1.0), shares[order], is_final)


def _joined(similar: Similar, words: WordMatches) -> tuple[Numbers, Scores, Scores]:
    """All memories (ascending), their similarities and shares; what only one of both knows has 0 in the other."""
    numbers, similarities = similar.numbers, similar.similarities
    unknown = np.setdiff1d(words.numbers, numbers, assume_unique=True)
    if len(unknown):
        numbers = np.union1d(numbers, unknown)
        similarities = np.zeros(len(numbers), np.float32)
        similarities[np.searchsorted(numbers, similar.numbers)] = similar.similarities
    shares = np.zeros(len(numbers), np.float32)
    shares[np.searchsorted(numbers, words.numbers)] = words.shares
    return numbers, similarities, shares


def _fetched(
    session: Session, project_id: str, filters: Filters, ranking: _Ranking, similar: Similar, limit: int
) -> list[SearchResult]:
    """The first `limit` of the ranking that SQL knows and the filters let pass."""
    query = _BY_NUMBER.where(
        *conditions_within_project(filters, project_id)
    )  # with the project besides, SQLite would read all of it
    found: list[SearchResult] = []
    start, step = 0, limit
    while start < len(ranking.numbers) and len(found) < limit:
        numbers = ranking.numbers[start : start + step].tolist()
        rows = session.scalars(query, {"numbers": numbers})
        memories = {memory.number: memory for memory in rows if memory.project_id == project_id}
        places = (start + at for at, number in enumerate(numbers) if number in memories)
        found += [_found(memories[int(ranking.numbers[place])], ranking, place, similar) for place in places]
        start, step = start + step, min(step * 4, LISTED)
    return found[:limit]


def _found(memory: Memory, ranking: _Ranking, place: int, similar: Similar) -> SearchResult:
    span = similar.span_of(memory.number)
    return SearchResult(
        memory,
        score=float(ranking.scores[place]),
        similarity=float(ranking.similarities[place]),
        words=float(ranking.shares[place]),
        piece=memory.content[slice(*span)] if span else "",
    )
