"""Searches by meaning and by words, and reads the results from SQL. `ranking` computes the scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

import sqlalchemy as sa
from pydantic_core import to_json
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory import activity, counting, folding
from server.domain.memory.budget import ANSWER_BYTES, LISTED_COLUMNS, ROWS_PER_READ, Budget, size_of, take_fitting
from server.domain.memory.filters import Filters, conditions, narrowing
from server.domain.memory.floor import floor_among, weak_below
from server.domain.memory.folding import TextKey, key_of
from server.domain.memory.parameters import asks_nothing
from server.domain.memory.ranking import Ranking, best_by_words, rank
from server.index import Index
from server.index.exact.matrix import NOTHING_SIMILAR, SimilarMemories
from server.index.memory_numbers import union
from server.index.question import Candidates
from server.index.words import word_search
from server.models import Memory, Project
from server.models.activity import ActivityKind
from server.models.base import Utc, now
from server.models.memories import is_live
from server.principal import Principal
from server.storage.statements import Query, Row, as_json, detached, numbers_in, texts_in

LEAST_WIDTH = 50
WIDTHS = (1_000, 2_000, 10_000, 1 << 40)
"""How many of the best memories to try, one after another, until enough of them pass the filters. First come twice as
many as the search wants, but at least `LEAST_WIDTH`.

In a large project, the question is compared with as many memories that Chroma proposes, and with as many that score
highest by their words.
"""

MOST_ALLOWED = 5_000
"""If at most this many memories pass the filters, only they are searched; else the filters apply to the ranking."""

NEWEST_SCORE = 1.0
"""The score of each result of an empty query, which compares nothing."""


class SortBy(StrEnum):
    RELEVANCE = "relevance"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search. `threshold` is the lowest score of a result; None means the floor (`floor.floor_among`).

    SortBy.TIMESTAMP sorts the `limit` most relevant results newest first. `skip` is the number of best results to leave
    out because an earlier page showed them. `answer_bytes` is how large the answer may be.
    """

    query: str
    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    threshold: float | None = None
    sort_by: SortBy = SortBy.RELEVANCE
    project_id: str | None = None
    skip: int = 0
    answer_bytes: int = ANSWER_BYTES


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A memory with its score, the parts of the score, and its most similar piece.

    Callers see `share` as `words`. `similarity` is clipped to 0..1; the score uses the unclipped value.
    """

    memory: Memory
    score: float
    similarity: float = 0.0
    share: float = 0.0
    window: float = 0.0
    piece: str = ""
    duplicates: int = 0
    """How many other memories have the same text. This is the newest."""


class SearchPage(NamedTuple):
    """The results that fit into an answer, their size there, and how many others did not fit. `best` is the score of
    the best result, even if it is on an earlier page. Unrelated questions reach scores up to `weak_below`.
    """

    results: list[SearchResult]
    size: int
    omitted: int
    best: float = NEWEST_SCORE
    weak_below: float = 0.0

    @property
    def weak(self) -> bool:
        """Whether even the best result scores no higher than results of unrelated questions."""
        return self.best < self.weak_below


def search(session: Session, principal: Principal, request: SearchRequest, index: Index) -> SearchPage:
    """Return the best results, best first, as far as they fit into an answer; for an empty query, the newest memories.

    Filters apply before the limit. The memories come without their messages. Raises the errors of `require_project`.
    """
    project = require_project(session, principal, request.project_id, Action.READ)
    page = _search(session, project, request, index)
    memory_ids = (result.memory.id for result in page.results)
    activity.note(session, principal, project.id, ActivityKind.SEARCH, memory_ids, query=request.query)
    return page


def _search(session: Session, project: Project, request: SearchRequest, index: Index) -> SearchPage:
    narrow = narrowing(request.filters, project.id)
    if asks_nothing(request.query):
        return _newest(session, project, narrow, request)
    is_filtered = not request.filters.is_empty
    allowed = counting.numbers_of(session, project, request.filters, MOST_ALLOWED) if is_filtered else None
    unchecked = narrow if allowed is None else []
    question = index.embed_question(session, project, request.query)
    known = index.places(session, project, question)
    matches = word_search.search(session, project.id, project.memory_count, request.query, allowed, known)
    compared = project.memory_count if allowed is None else len(allowed)
    for width in _widths(request.limit):
        by_words = best_by_words(matches, width)
        similar = index.find_similar(session, project, question, Candidates(allowed, by_words, width))
        ranked = matches if similar.complete else matches.only(union(similar.numbers, by_words))
        floor = 0.0 if similar is NOTHING_SIMILAR else floor_among(compared, by_words=question.is_misread)
        threshold = floor if request.threshold is None else request.threshold
        ranking = rank(similar, ranked, threshold, width, is_misread=question.is_misread)
        existing = _existing(session, project.id, unchecked, ranking, request.limit)
        if ranking.is_final or len(existing) == request.limit:
            break
    wanted = dict(islice(existing.items(), request.skip, None))
    page = _read(session, wanted, ranking, similar, Budget(request.answer_bytes))
    page = _with_newest(session, project.id, narrow, page)
    level = weak_below(compared, by_words=question.is_misread)
    page = page._replace(best=ranking.best_of(existing), weak_below=level)
    if request.sort_by is SortBy.TIMESTAMP:
        page.results.sort(key=lambda result: result.memory.id, reverse=True)
    return page


def _widths(limit: int) -> Sequence[int]:
    first = max(2 * limit, LEAST_WIDTH)
    return [first, *(width for width in WIDTHS if width > first)]


def _newest(
    session: Session, project: Project, narrow: Sequence[sa.ColumnElement[bool]], request: SearchRequest
) -> SearchPage:
    are_few = not request.filters.is_empty and counting.are_few(session, project, request.filters, counting.FEW)
    matching = conditions(request.filters, project.id, are_few=are_few)
    ids = folding.newest_ids(session, matching, request.limit, are_few=are_few)[request.skip :]
    memories, size, is_cut = take_fitting(_newest_first(session, ids), Budget(request.answer_bytes))
    results = [SearchResult(memory, NEWEST_SCORE) for memory in memories]
    page = SearchPage(results, size, len(ids) - len(results) if is_cut else 0)
    return _with_newest(session, project.id, narrow, page)


def _with_newest(
    session: Session, project_id: str, narrow: Sequence[sa.ColumnElement[bool]], page: SearchPage
) -> SearchPage:
    """Replace each result with the newest memory that has the same text, and set the number of the others."""
    keys = [folding.key_of(result.memory) for result in page.results]
    equals = folding.equals_of(session, project_id, narrow, keys)
    if not equals:
        return page
    ids = [one.newest_id for one in equals.values()]
    newest = {memory.id: memory for memory in (detached(Memory, row) for row in _newest_first(session, ids))}

    def folded(result: SearchResult) -> SearchResult:
        same = equals.get(folding.key_of(result.memory))
        if same is None or same.newest_id not in newest:
            return result
        return replace(result, memory=newest[same.newest_id], duplicates=same.others)

    return page._replace(results=[folded(result) for result in page.results])


def _newest_first(session: Session, ids: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of these memories. Reads a few at a time."""
    for start in range(0, len(ids), ROWS_PER_READ):
        yield from _BY_ID.rows(session, ids=as_json(ids[start : start + ROWS_PER_READ]))


_BY_ID = Query(sa.select(*LISTED_COLUMNS).where(col(Memory.id).in_(texts_in("ids"))).order_by(col(Memory.id).desc()))


def _existing(
    session: Session, project_id: str, narrow: Sequence[sa.ColumnElement[bool]], ranking: Ranking, limit: int
) -> dict[int, Memory | None]:
    """Return the first `limit` positions in the ranking whose memories exist and pass the filters, each text once.

    Also return the memories that were read for this. They are few, because each may have megabytes. The queries have no
    condition for the project, because SQLite would then read the whole project; Python compares it instead.
    """
    existing: dict[int, Memory | None] = {}
    keys: set[TextKey] = set()
    start = 0
    batch = limit
    while start < len(ranking.numbers) and len(existing) < limit:
        numbers = ranking.numbers[start : start + batch].tolist()
        passing: dict[int, tuple[TextKey, Memory | None]] = {}
        if len(numbers) <= ROWS_PER_READ:
            rows = _LIVE.rows(session, *narrow, **_of(numbers))
            memories = (detached(Memory, row) for row in rows)
            passing |= {one.number: (key_of(one), one) for one in memories if one.project_id == project_id}
        else:
            rows = _LIVE_KEYS.rows(session, *narrow, **_of(numbers))
            passing |= {number: (TextKey(*key), None) for number, home, *key in rows if home == project_id}
        for place, number in enumerate(numbers, start):
            key, memory = passing.get(number, (None, None))
            if key is not None and key not in keys:
                keys.add(key)
                existing[place] = memory
        start += batch
        batch = min(batch * 4, MOST_ALLOWED)
    return dict(islice(existing.items(), limit))


def _of(numbers: Sequence[int]) -> dict[str, object]:
    return {"numbers": as_json(numbers), "moment": now()}


_NUMBERED = col(Memory.number).in_(numbers_in("numbers"))
_IS_LIVE = is_live(sa.bindparam("moment", type_=Utc))
_KEYS = sa.select(col(Memory.number), col(Memory.project_id), col(Memory.content_hash), col(Memory.user_id))
_BY_NUMBER = Query(sa.select(*LISTED_COLUMNS).where(_NUMBERED))
_LIVE = Query(sa.select(*LISTED_COLUMNS).where(_NUMBERED, _IS_LIVE))
_LIVE_KEYS = Query(_KEYS.where(_NUMBERED, _IS_LIVE))


def _read(
    session: Session, existing: dict[int, Memory | None], ranking: Ranking, similar: SimilarMemories, budget: Budget
) -> SearchPage:
    """Return as many of these results as fit. Reads a few memories at a time."""
    results: list[SearchResult] = []
    positions = list(existing)
    for start in range(0, len(positions), ROWS_PER_READ):
        chunk = positions[start : start + ROWS_PER_READ]
        for position, memory in zip(chunk, _memories_at(session, existing, ranking, chunk), strict=True):
            result = _result(memory, ranking, position, similar)
            if not budget.take(size_of(memory.content, memory.details) + len(to_json(result.piece))):
                return SearchPage(results, budget.used, len(positions) - len(results))
            results.append(result)
    return SearchPage(results, budget.used, omitted=0)


def _memories_at(
    session: Session, existing: dict[int, Memory | None], ranking: Ranking, positions: Sequence[int]
) -> list[Memory]:
    memories = {memory.number: memory for position in positions if (memory := existing[position])}
    numbers = ranking.numbers[positions].tolist()
    if missing := [number for number in numbers if number not in memories]:
        rows = _BY_NUMBER.rows(session, numbers=as_json(missing))
        memories |= {memory.number: memory for memory in (detached(Memory, row) for row in rows)}
    return [memories[number] for number in numbers]


def _result(memory: Memory, ranking: Ranking, position: int, similar: SimilarMemories) -> SearchResult:
    span = similar.best_span(memory.number)
    return SearchResult(
        memory,
        score=float(ranking.scores[position]),
        similarity=float(ranking.similarities[position]),
        share=float(ranking.shares[position]),
        window=float(ranking.windows[position]),
        piece=memory.content[slice(*span)] if span else "",
    )
