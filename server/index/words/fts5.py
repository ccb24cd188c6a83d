"""The word index on SQLite: an FTS5 table `memory_words` whose `rowid` is the memory's number.

FTS5 keeps one index for all projects. Two measures keep the projects apart:

- *A prefix.* Every stored word begins with a prefix of its project, so that a search reads only that project's entries.
  The prefix has no vowels. FTS5's Porter stemmer decides by the syllables of a word, which it finds by their vowels;
  with such a prefix it counts the syllables of the word itself.
- *A division.* bm25() multiplies by the rarity (IDF) of a word in the whole table. `scores` divides by it, and
  `word_search` multiplies by the rarity in the project instead. One trait of the whole table remains: bm25() compares
  the length of a memory with the mean length of all memories.

The division needs the number of rows in the table, and `count(*)` would read them all. FTS5 keeps that number in the
"averages" record of its shadow table `memory_words_data`, as the first of several varints. The search fetches the
record as the last row of its result, so that a search stays one query.

The matches of a term come as two lists in one row. A row for each match would take longer, and the thread would give up
the GIL to other requests at each of them.

The column `context` is empty. Earlier versions kept the end of the previous memory there.

The record, the varint and the IDF are described in SQLite's sources: ext/fts5/fts5_index.c and ext/fts5/fts5_aux.c.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.database import Database, as_json
from server.index.words import fts5_purge
from server.index.words.protocol import TermScores, WordRow
from server.statements import Query, Row

_CONSONANTS = "bcdfghjklmnpqrst"

_UNITS = 1 << 57
"""A search gets its scores as multiples of 1 / _UNITS, because SQLite writes whole numbers without rounding them. They
fit into 64 bits: no score reaches 64.
"""


class Fts5:
    """`WordIndex` on SQLite."""

    def write(self, session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
        prefix = _prefix_of(project_id)
        values = [
            {"number": row.number, "body": _prefixed(prefix, row.body), "dates": _prefixed(prefix, row.dates)}
            for row in rows
        ]
        _WRITE.run(session, values)

    def remove_memories(self, session: Session, numbers: Sequence[int]) -> None:
        _REMOVE_MEMORIES.rows(session, numbers=as_json(numbers))

    def remove_orphans(self, session: Session) -> None:
        session.execute(_REMOVE_ORPHANS)

    def counts(
        self, session: Session, project_id: str, terms: Sequence[str], at_most: int | None = None
    ) -> Sequence[int]:
        values: dict[str, str | int] = {**_queries(project_id, terms), "at_most": -1 if at_most is None else at_most}
        return _count_query(len(terms)).rows(session, **values)[0]

    def scores(
        self,
        session: Session,
        project_id: str,
        counts: Mapping[str, int],
        max_rows: int,
        allowed: Sequence[int] | None,
    ) -> TermScores:
        values: dict[str, str | int] = {**_queries(project_id, counts), "max_rows": max_rows}
        if allowed is not None:
            values["allowed"] = as_json(allowed)
        statement = _score_query(len(counts), allowed is not None)
        *rows, averages = statement.rows(session, **values)
        matches = _term_scores(rows, list(counts.values()))
        rarities = _bm25_rarities(_first_varint(averages[0]), matches.counts)
        return TermScores(matches.terms, matches.numbers, matches.scores / rarities[matches.terms], matches.counts)

    def scores_of_beginnings(
        self, session: Session, project_id: str, beginnings: Sequence[str], max_rows: int
    ) -> TermScores:
        prefix = _prefix_of(project_id)
        values = {f"t{position}": f"{prefix}{beginning}" for position, beginning in enumerate(beginnings)}
        _CREATE_VOCABULARY.rows(session)
        rows = _beginnings_query(len(beginnings)).rows(session, **values, at_most=max_rows + 1)
        numbers = [_integers([found if count <= max_rows else None]) for count, found in rows]
        sizes = np.array([*map(len, numbers)])
        return TermScores(np.repeat(np.arange(len(rows)), sizes), np.concatenate(numbers), np.ones(sizes.sum()), sizes)

    def prepare(self, database: Database, /) -> None:
        fts5_purge.prepare(database)

    def purge(self, database: Database, /) -> bool:
        return fts5_purge.purge(database)


def _prefix_of(project_id: str) -> str:
    digest = hashlib.sha256(project_id.encode()).digest()
    return "".join(_CONSONANTS[byte % 16] + _CONSONANTS[byte // 16] for byte in digest[:5])


def _prefixed(prefix: str, terms: Sequence[str]) -> str:
    return prefix + f" {prefix}".join(terms) if terms else ""


def _queries(project_id: str, terms: Iterable[str]) -> dict[str, str]:
    """Return the parameters `t0`, `t1`, …: an FTS5 query for each term, quoted so that no term is an operator."""
    prefix = _prefix_of(project_id)
    return {f"t{position}": f'"{prefix}{term}"' for position, term in enumerate(terms)}


def _term_scores(rows: Sequence[Row], counts: Sequence[int]) -> TermScores:
    """Build the arrays from one row for each term: how many memories hold it, their numbers, and their scores."""
    sizes, numbers, scores = zip(*rows, strict=True)
    terms = np.repeat(np.arange(len(rows)), sizes)
    return TermScores(terms, _integers(numbers), _integers(scores) / _UNITS, np.maximum(sizes, counts))


def _integers(lists: Iterable[str | None]) -> NDArray[np.int64]:
    return np.fromstring(",".join(filter(None, lists)), np.int64, sep=",")


def _bm25_rarities(row_count: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the inverse document frequency that bm25() gives to terms, each in `counts` of `row_count` rows."""
    return np.maximum(np.log((np.maximum(row_count, counts) - counts + 0.5) / (counts + 0.5)), 1e-6)


def _first_varint(record: bytes) -> int:
    """Decode SQLite's variable-length integer: 7 bits in each byte; the highest bit says that another byte follows."""
    value = 0
    for byte in record[:9]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value


_SCORE = f"CAST({-_UNITS} * bm25(memory_words) AS INTEGER)"
_AVERAGES = "SELECT * FROM (SELECT block, NULL, NULL FROM memory_words_data WHERE id = 1)"


@cache
def _score_query(term_count: int, is_narrowed: bool) -> Query:
    narrow = " AND +rowid IN (SELECT value FROM json_each(:allowed))" if is_narrowed else ""
    parts = (
        "SELECT count(*), group_concat(number), group_concat(score) FROM"  # noqa: S608 - numbers
        f" (SELECT rowid AS number, {_SCORE} AS score FROM memory_words"
        f" WHERE memory_words MATCH :t{term}{narrow} ORDER BY rowid DESC LIMIT :max_rows)"
        for term in range(term_count)
    )
    return Query(sa.text(" UNION ALL ".join((*parts, _AVERAGES))))


@cache
def _count_query(term_count: int) -> Query:
    parts = (
        f"(SELECT count(*) FROM (SELECT 1 FROM memory_words WHERE memory_words MATCH :t{term} LIMIT :at_most))"  # noqa: S608 - numbers
        for term in range(term_count)
    )
    return Query(sa.text("SELECT " + ", ".join(parts)))


@cache
def _beginnings_query(count: int) -> Query:
    parts = (
        "SELECT count(*), group_concat(DISTINCT doc) FROM"  # noqa: S608 - numbers
        f" (SELECT doc FROM memory_vocabulary WHERE term >= :t{position} AND term < :t{position} || char(1114111)"
        " LIMIT :at_most)"
        for position in range(count)
    )
    return Query(sa.text(" UNION ALL ".join(parts)))


_CREATE_VOCABULARY = Query(
    sa.text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.memory_vocabulary USING fts5vocab(main, memory_words, instance)")
)
"""All stored words in alphabetical order, with a row for each occurrence. The table reads the index and stores nothing,
so each connection creates its own.

A query of FTS5 for a beginning (`"word"*`) merges the entries of all words that have it before LIMIT applies. This
table returns one entry at a time.
"""

_WRITE = Query(sa.text("INSERT OR REPLACE INTO memory_words (rowid, body, dates) VALUES (:number, :body, :dates)"))
_REMOVE_MEMORIES = Query(sa.text("DELETE FROM memory_words WHERE rowid IN (SELECT value FROM json_each(:numbers))"))
_REMOVE_ORPHANS = sa.text("DELETE FROM memory_words WHERE rowid NOT IN (SELECT number FROM memories)")
