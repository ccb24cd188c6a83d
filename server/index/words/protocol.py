"""The word index in either database. `fts5` has what only SQLite needs, `tsvector` what only Postgres needs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.storage.database import Database
from server.storage.statements import Query, Row, as_json

NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class WordRow:
    """The terms to store for one memory: its text, and its date in words. `place` is its place in its conversation."""

    number: int
    body: Sequence[str]
    dates: Sequence[str]
    place: int


@dataclass(frozen=True, slots=True)
class TermMatches:
    """The matches of a search: entry `i` says that memory `numbers[i]` holds term `terms[i]`.

    A term is its position in the question. `counts[term]` is the number of the project's memories that hold the term.
    """

    terms: NDArray[np.intp]
    numbers: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of_rows(cls, rows: Iterable[Row], term_count: int, at_most: int) -> "TermMatches":
        """Build the arrays from a row for each term: the term, how many entries of the index were read, and the numbers
        of their memories, separated by commas. Keep no matches of a term with more than `at_most` entries.
        """
        found = [np.empty(0, np.int64)] * term_count
        counts = np.zeros(term_count, np.int64)
        for term, entries, numbers in rows:
            if 0 < entries <= at_most:
                found[term] = np.fromstring(numbers, np.int64, sep=",")
            counts[term] = len(found[term]) or entries
        return cls(np.repeat(np.arange(term_count), [*map(len, found)]), np.concatenate(found), counts)

    def fitting(self, at_most: int) -> NDArray[np.intp]:
        """Return the rarest terms that together have at most `at_most` matches."""
        rarest: list[int] = []
        total = 0
        for term in np.argsort(self.counts, kind="stable").tolist():
            if total + self.counts[term] <= at_most:
                total += self.counts[term]
                rarest.append(term)
        return np.array(rarest, np.intp)

    def only(self, terms: NDArray[np.intp]) -> "TermMatches":
        """Keep only these terms, in this order."""
        places = np.full(len(self.counts), -1)
        places[terms] = np.arange(len(terms))
        kept = places[self.terms] >= 0
        return TermMatches(places[self.terms[kept]], self.numbers[kept], self.counts[terms])


@dataclass(frozen=True, slots=True)
class WordSql:
    """The parts of queries that differ between the databases.

    `holding` selects the rows that hold a term, with `{term}` for its position. `number` is the memory's number in such
    a row, and `numbers` those of all of them in one text. `is_allowed` keeps the numbers in the JSON `:allowed`.
    """

    number: str
    numbers: str
    holding: str
    is_allowed: str


class WordIndex(Protocol):
    """The table `memory_words`: the words of every memory. All methods work in the session's transaction, except
    `prepare` and `purge`, which open their own.
    """

    sql: WordSql
    either_sql: WordSql
    """`sql` for the parameters of `either`."""

    def write(self, session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
        """Insert the rows, replacing existing rows of the same memories."""

    def remove_memories(self, session: Session, numbers: Sequence[int]) -> None:
        """Delete the words of these memories, before or while the memories themselves are deleted."""

    def remove_orphans(self, session: Session) -> None:
        """Delete the words of memories that no longer exist."""

    def parameters(self, project_id: str, terms: Sequence[str]) -> dict[str, str]:
        """Return the parameters of `sql.holding` for these terms: `t0`, `t1`, …"""

    def either(self, project_id: str, terms: Sequence[Sequence[str]]) -> dict[str, str]:
        """Return the parameters of `either_sql.holding`: of each term the spellings, of letters, and of a space between
        two words that follow each other.
        """

    def counts(self, session: Session, project_id: str, terms: Sequence[str], at_most: int = NO_LIMIT) -> Sequence[int]:
        """Return how many of the project's memories hold each term, with one query. Stop counting at `at_most`."""
        values = self.parameters(project_id, terms)
        return _count_query(self.sql, len(terms)).rows(session, **values, at_most=at_most)[0]

    def matches(self, session: Session, project_id: str, terms: Sequence[str], at_most: int) -> TermMatches:
        """Return which of the project's memories hold each term, with one query.

        A term that more memories hold has no matches in the result, and the count `at_most` + 1.
        """
        values = self.parameters(project_id, terms)
        rows = _match_query(self.sql, len(terms)).rows(session, **values, at_most=at_most + 1)
        return TermMatches.of_rows(rows, len(terms), at_most)

    def spelled(self, session: Session, project_id: str, terms: Sequence[Sequence[str]], at_most: int) -> TermMatches:
        """Return which of the project's memories hold a spelling of each term, as `matches` does."""
        values = self.either(project_id, terms)
        rows = _match_query(self.either_sql, len(terms)).rows(session, **values, at_most=at_most + 1)
        return TermMatches.of_rows(rows, len(terms), at_most)

    def newest(
        self, session: Session, project_id: str, term: str, at_most: int, allowed: Sequence[int] | None
    ) -> TermMatches:
        """Return the `at_most` newest of the project's memories that hold the term, or of the `allowed` ones."""
        values = self.parameters(project_id, [term]) | ({} if allowed is None else {"allowed": as_json(allowed)})
        narrow = "" if allowed is None else self.sql.is_allowed
        query = _match_query(self.sql, 1, f"{narrow} ORDER BY {self.sql.number} DESC")
        return TermMatches.of_rows(query.rows(session, **values, at_most=at_most), 1, at_most)

    def beginnings(self, session: Session, project_id: str, beginnings: Sequence[str], at_most: int) -> TermMatches:
        """Return which of the project's memories hold a word with each of these beginnings, with one query.

        A beginning that more than `at_most` memories have has no matches in the result. On SQLite, neither has one of
        more than four times as many words. Words are compared as they are stored, stemmed; a beginning is not stemmed,
        because its stem may begin many other words.
        """

    def prepare(self, database: Database, /) -> None:
        """Make the database erase deleted words. It stores this setting."""

    def purge(self, database: Database, /) -> bool:
        """Erase deleted words from disk. Return False when a reader was in the way: call it again later."""


# A row for each term, with all its matches in one text. A row for each match would take longer, and the thread would
# give up the GIL to other requests at each of them.
@cache
def _match_query(words: WordSql, term_count: int, which: str = "") -> Query:
    holding = (f"SELECT {words.number} {words.holding.format(term=term)}{which}" for term in range(term_count))
    return union(
        f"SELECT {term}, count(*), {words.numbers} FROM ({rows} LIMIT :at_most) AS matches"  # noqa: S608 - no input
        for term, rows in enumerate(holding)
    )


@cache
def _count_query(words: WordSql, term_count: int) -> Query:
    holding = (words.holding.format(term=term) for term in range(term_count))
    counts = (f"(SELECT count(*) FROM (SELECT 1 {rows} LIMIT :at_most) AS matches)" for rows in holding)  # noqa: S608 - no input
    return Query(sa.text(f"SELECT {', '.join(counts)}"))


def union(queries: Iterable[str]) -> Query:
    """Return one query for the rows of all of them."""
    return Query(sa.text(" UNION ALL ".join(queries)))
