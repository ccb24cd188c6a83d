"""Which memories hold the words of a question: BM25 over the words index (see `server.index.words.word_index`).

Each term is asked for alone and the parts are added here, so that a term's rarity is that within the project: no
tenant's words weigh on another's, and no search costs more because others store much.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.database import is_sqlite
from server.index.words.tokenizer import question_terms
from server.index.words.word_index import prefix_of

MOST_ROWS = 1500
"""Rows that one search scores, so that its cost has a bound: the rarest terms go first."""

FEW = MOST_ROWS
"""Up to so many memories of a project, every term is scored without counting first: none of them can be cut off."""


@dataclass(frozen=True, slots=True)
class WordMatches:
    """Memories (numbers, ascending) that hold a term of the question, and how well.

    A share is the BM25 of a memory in that of the best match, times what the best match covers of the question (its
    terms weighed by their rarity): 1 says every word, so that one word of five by itself does not look like an answer.
    """

    numbers: NDArray[np.int64]
    shares: NDArray[np.float32]
    asked: bool
    """Whether the question had any term to look for."""

    def best(self, count: int) -> NDArray[np.int64]:
        """The numbers of the `count` best, in any order."""
        if count >= len(self.numbers):
            return self.numbers
        return self.numbers[np.argpartition(-self.shares, count)[:count]]


NOTHING = WordMatches(np.empty(0, np.int64), np.empty(0, np.float32), asked=False)


def search(
    session: Session, project_id: str, memory_count: int, question: str, allowed: Sequence[int] | None
) -> WordMatches:
    """BM25 over the project's memories, or over the allowed ones."""
    terms = question_terms(question)
    if not terms:
        return NOTHING
    sqlite = is_sqlite(session)
    keys = [_match(project_id, term) if sqlite else term for term in terms]
    held: dict[int, int] = {}
    if memory_count > FEW:
        keys, held = _rarest(session, project_id, keys)
    values: dict[str, str | int] = {f"t{at}": key for at, key in enumerate(keys)}
    values |= {"project": project_id, "most": MOST_ROWS}
    if allowed is not None and memory_count > FEW:
        values["allowed"] = json.dumps(list(allowed))
    statement = (_sqlite_search if sqlite else _postgres_search)(len(keys), "allowed" in values)
    found = list(session.connection().execute(statement, values).cursor.fetchall())  # tuples: there may be thousands
    total = _first_varint(found.pop()[2]) if sqlite else 0
    return _added(found, [held.get(at, 0) for at in range(len(keys))], memory_count, total, allowed)


def _added(
    found: Sequence[tuple[int, int, float]],
    held: list[int],
    memory_count: int,
    total: int,
    allowed: Sequence[int] | None,
) -> WordMatches:
    """Sum the terms' parts for each memory, each times the term's rarity in the project."""
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    which, numbers, parts = table[:, 0].astype(np.intp), table[:, 1].astype(np.int64), table[:, 2]
    counts = np.maximum(np.bincount(which, minlength=len(held)), held)
    rarities = np.log1p((np.maximum(memory_count, counts) - counts + 0.5) / (counts + 0.5))
    if total:  # FTS5 has multiplied by the rarity in the whole table
        parts = parts / _fts5_rarity(total, counts)[which]
    if allowed is not None:
        kept = np.isin(numbers, np.asarray(allowed, np.int64))
        which, numbers, parts = which[kept], numbers[kept], parts[kept]
    if not len(numbers):
        return WordMatches(NOTHING.numbers, NOTHING.shares, asked=True)
    different, place = np.unique(numbers, return_inverse=True)
    sums = np.bincount(place, weights=parts * rarities[which])
    best = int(sums.argmax())
    covered = rarities[which[place == best]].sum() / rarities.sum()
    return WordMatches(different, (sums * (covered / max(sums[best], 1e-9))).astype(np.float32), asked=True)


def _fts5_rarity(total: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The inverse document frequency of FTS5's bm25() (its ext/fts5/fts5_aux.c)."""
    return np.maximum(np.log((np.maximum(total, counts) - counts + 0.5) / (counts + 0.5)), 1e-6)


def _rarest(session: Session, project_id: str, keys: list[str]) -> tuple[list[str], dict[int, int]]:
    """The rarest terms that together touch at most `MOST_ROWS` memories, or one; and how many each touches."""
    sqlite = is_sqlite(session)
    values = {f"t{at}": key for at, key in enumerate(keys)} | {"project": project_id}
    counts = session.execute((_sqlite_count if sqlite else _postgres_count)(len(keys)), values).one()
    rows, taken = 0, dict[str, int]()
    for count, key in sorted(zip(counts, keys, strict=True)):
        if rows == 0 or rows + count <= MOST_ROWS:
            taken[key] = count
            rows += count
    return list(taken), dict(enumerate(taken.values()))


def _match(project_id: str, term: str) -> str:
    return f'"{prefix_of(project_id)}{term}"'


def _first_varint(block: bytes) -> int:
    value = 0
    for byte in block[:9]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value


# FTS5's record of averages begins with the number of all rows (ext/fts5/fts5_index.c). It is an answer's last row.
_AVERAGES = "SELECT * FROM (SELECT NULL, NULL, block FROM memory_words_data WHERE id = 1)"


@cache
def _sqlite_search(terms: int, narrowed: bool) -> sa.TextClause:
    narrow = " AND +rowid IN (SELECT value FROM json_each(:allowed))" if narrowed else ""
    arms = (
        f"SELECT * FROM (SELECT {at}, rowid, -bm25(memory_words, 1.0, 0.5, 1.0) FROM memory_words"  # noqa: S608 - numbers
        f" WHERE memory_words MATCH :t{at}{narrow} ORDER BY rowid DESC LIMIT :most)"
        for at in range(terms)
    )
    return sa.text(" UNION ALL ".join((*arms, _AVERAGES)))


@cache
def _sqlite_count(terms: int) -> sa.TextClause:
    arms = (f"(SELECT count(*) FROM memory_words WHERE memory_words MATCH :t{at})" for at in range(terms))  # noqa: S608
    return sa.text("SELECT " + ", ".join(arms))


@cache
def _postgres_search(terms: int, narrowed: bool) -> sa.TextClause:
    narrow = " AND memory_number IN (SELECT value::bigint FROM json_array_elements_text(:allowed))" if narrowed else ""
    arms = (
        f"(SELECT {at}, memory_number, ts_rank('{{0,0,0.5,1}}', words, plainto_tsquery('english', :t{at}), 0)"  # noqa: S608
        f" FROM memory_words WHERE project_id = :project AND words @@ plainto_tsquery('english', :t{at}){narrow}"
        " ORDER BY memory_number DESC LIMIT :most)"
        for at in range(terms)
    )
    return sa.text(" UNION ALL ".join(arms))


@cache
def _postgres_count(terms: int) -> sa.TextClause:
    arms = (
        "(SELECT count(*) FROM memory_words WHERE project_id = :project"  # noqa: S608 - numbers
        f" AND words @@ plainto_tsquery('english', :t{at}))"
        for at in range(terms)
    )
    return sa.text("SELECT " + ", ".join(arms))
