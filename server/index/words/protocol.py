"""The interface of the word index. `fts5` implements it for SQLite, `tsvector` for Postgres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from server.database import Database
from server.statements import Row


@dataclass(frozen=True, slots=True)
class WordRow:
    """The terms to store for one memory: its text, and its date in words. `place` is its place in its conversation."""

    number: int
    body: Sequence[str]
    dates: Sequence[str]
    place: int


@dataclass(frozen=True, slots=True)
class TermScores:
    """The matches of a search: entry `i` says that memory `numbers[i]` holds term `terms[i]` and scores `scores[i]`.

    A term is its position in the question. A score, from 0, weighs how often the memory holds the term, and its length,
    but not how rare the term is. `counts[term]` is the number of the project's memories that hold the term.
    """

    terms: NDArray[np.intp]
    numbers: NDArray[np.int64]
    scores: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of_rows(cls, rows: Sequence[Row], counts: Sequence[int]) -> "TermScores":
        """Build the arrays from rows of (term, number, score). The number of a term's rows replaces a count of 0."""
        columns = tuple(zip(*rows, strict=True)) or ((), (), ())
        terms = np.array(columns[0], np.intp)
        known = np.maximum(np.bincount(terms, minlength=len(counts)), counts)
        return cls(terms, np.array(columns[1], np.int64), np.array(columns[2], np.float64), known)


class WordIndex(Protocol):
    """The table `memory_words`: the words of every memory. All methods work in the session's transaction, except
    `prepare` and `purge`, which open their own.
    """

    def write(self, session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
        """Insert the rows, replacing existing rows of the same memories."""

    def remove_memories(self, session: Session, numbers: Sequence[int]) -> None:
        """Delete the words of these memories, before or while the memories themselves are deleted."""

    def remove_orphans(self, session: Session) -> None:
        """Delete the words of memories that no longer exist."""

    def counts(
        self, session: Session, project_id: str, terms: Sequence[str], at_most: int | None = None
    ) -> Sequence[int]:
        """Return how many of the project's memories hold each term, with one query. Stop counting at `at_most`."""

    def scores(
        self,
        session: Session,
        project_id: str,
        counts: Mapping[str, int],
        max_rows: int,
        allowed: Sequence[int] | None,
    ) -> TermScores:
        """Score the project's memories for each term in `counts`, with one query.

        For each term, only the `max_rows` newest memories are scored. `allowed` narrows the query to these memories.
        The values of `counts` come from the method `counts`. They may be 0 if `max_rows` and `allowed` do not apply.
        """

    def scores_of_beginnings(
        self, session: Session, project_id: str, beginnings: Sequence[str], max_rows: int
    ) -> TermScores:
        """Score 1 for each of the project's memories that hold a word with one of these beginnings, with one query.

        A beginning that more than `max_rows` words have finds nothing, so that the cost is limited. Words are compared
        as they are stored, stemmed; a beginning is not stemmed, because its stem may begin many other words.
        """

    def prepare(self, database: Database, /) -> None:
        """Make the database erase deleted words. It stores this setting."""

    def purge(self, database: Database, /) -> bool:
        """Erase deleted words from disk. Return False when a reader was in the way: call it again later."""
