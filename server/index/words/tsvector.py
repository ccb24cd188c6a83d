"""The word index on Postgres: a table `memory_words` with one tsvector per memory.

A GIN index covers project and words, so a search reads its own project's entries only.

- *Terms.* `plainto_tsquery` stems a term as `to_tsvector` stems the stored words, and treats no character as an
  operator. Both use the configuration `memory_words` of our migrations: FTS5's stemmer, and no stop words.
- *Scores.* A memory that holds a term scores 1, however often it does and however long it is.

A row's foreign key deletes it together with its memory, and autovacuum erases deleted rows from disk. The methods that
remove and purge therefore do nothing here.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import sqlalchemy as sa
from sqlmodel import Session

from server.database import Database, as_json
from server.index.words.protocol import TermScores, WordRow
from server.statements import Query


class Tsvector:
    """`WordIndex` on Postgres."""

    def write(self, session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
        values = [
            {"number": row.number, "project": project_id, "words": " ".join((*row.body, *row.dates))} for row in rows
        ]
        _WRITE.run(session, values)

    def remove_memories(self, session: Session, numbers: Sequence[int]) -> None:
        """Do nothing: the foreign key cascades."""

    def remove_orphans(self, session: Session) -> None:
        """Do nothing: the foreign key prevents orphans."""

    def counts(
        self, session: Session, project_id: str, terms: Sequence[str], at_most: int | None = None
    ) -> Sequence[int]:
        values = {**_parameters(project_id, terms), "at_most": at_most}
        return _count_query(len(terms)).rows(session, **values)[0]

    def scores(
        self,
        session: Session,
        project_id: str,
        counts: Mapping[str, int],
        max_rows: int,
        allowed: Sequence[int] | None,
    ) -> TermScores:
        values: dict[str, str | int] = {**_parameters(project_id, counts), "max_rows": max_rows}
        if allowed is not None:
            values["allowed"] = as_json(allowed)
        statement = _score_query(len(counts), allowed is not None)
        return TermScores.of_rows(statement.rows(session, **values), list(counts.values()))

    def scores_of_beginnings(
        self, session: Session, project_id: str, beginnings: Sequence[str], max_rows: int
    ) -> TermScores:
        values = {**_parameters(project_id, beginnings), "at_most": max_rows + 1}
        rows = _beginnings_query(len(beginnings)).rows(session, **values)
        counts = Counter(row[0] for row in rows)
        return TermScores.of_rows([row for row in rows if counts[row[0]] <= max_rows], [0] * len(beginnings))

    def prepare(self, _database: Database, /) -> None:
        """Do nothing: autovacuum is on by default."""

    def purge(self, _database: Database, /) -> bool:
        """Do nothing and return True: autovacuum erases deleted words later."""
        return True


def _parameters(project_id: str, terms: Iterable[str]) -> dict[str, str]:
    return {"project": project_id} | {f"t{position}": term for position, term in enumerate(terms)}


@cache
def _score_query(term_count: int, is_narrowed: bool) -> Query:
    narrow = (
        " AND memory_number IN (SELECT value::bigint FROM json_array_elements_text(:allowed))" if is_narrowed else ""
    )
    parts = (
        f"(SELECT {term}, memory_number, 1 FROM memory_words"  # noqa: S608 - numbers
        f" WHERE project_id = :project AND words @@ plainto_tsquery('memory_words', :t{term}){narrow}"
        " ORDER BY memory_number DESC LIMIT :max_rows)"
        for term in range(term_count)
    )
    return Query(sa.text(" UNION ALL ".join(parts)))


@cache
def _count_query(term_count: int) -> Query:
    parts = (
        "(SELECT count(*) FROM (SELECT 1 FROM memory_words WHERE project_id = :project"  # noqa: S608 - numbers
        f" AND words @@ plainto_tsquery('memory_words', :t{term}) LIMIT CAST(:at_most AS bigint)) AS matches)"
        for term in range(term_count)
    )
    return Query(sa.text("SELECT " + ", ".join(parts)))


@cache
def _beginnings_query(count: int) -> Query:
    parts = (
        f"(SELECT {position}, memory_number, 1 FROM memory_words WHERE project_id = :project"  # noqa: S608 - numbers
        f" AND words @@ CAST(NULLIF(CAST(plainto_tsquery('simple', :t{position}) AS text), '') || ':*' AS tsquery)"
        " LIMIT :at_most)"
        for position in range(count)
    )
    return Query(sa.text(" UNION ALL ".join(parts)))


_WRITE = Query(
    sa.text(
        "INSERT INTO memory_words (memory_number, project_id, words)"
        " VALUES (:number, :project, to_tsvector('memory_words', :words))"
        " ON CONFLICT ON CONSTRAINT memory_words_pkey DO UPDATE SET words = EXCLUDED.words"
    )
)
