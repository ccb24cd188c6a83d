"""The word index on Postgres: a table `memory_words` with one tsvector per memory.

A GIN index covers project and words, so a search reads its own project's entries only.

`plainto_tsquery` stems a term as `to_tsvector` stems the stored words, and treats no character as an operator. Both use
the configuration `memory_words` of our migrations: FTS5's stemmer, and no stop words.

A row's foreign key deletes it together with its memory, and autovacuum erases deleted rows from disk. The methods that
remove and purge therefore do nothing here.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import sqlalchemy as sa
from sqlmodel import Session

from server.database import Database
from server.index.words.protocol import TermMatches, WordRow
from server.statements import Query, as_json


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

    def matches(self, session: Session, project_id: str, terms: Sequence[str], at_most: int) -> TermMatches:
        values = {**_parameters(project_id, terms), "at_most": at_most + 1}
        return TermMatches.of_rows(_match_query(len(terms)).rows(session, **values), len(terms), at_most)

    def newest(
        self, session: Session, project_id: str, term: str, at_most: int, allowed: Sequence[int] | None
    ) -> TermMatches:
        values: dict[str, str | int] = {**_parameters(project_id, [term]), "at_most": at_most}
        if allowed is not None:
            values["allowed"] = as_json(allowed)
        return TermMatches.of_rows(_newest_query(allowed is not None).rows(session, **values), 1, at_most)

    def beginnings(self, session: Session, project_id: str, beginnings: Sequence[str], at_most: int) -> TermMatches:
        values = {**_parameters(project_id, beginnings), "at_most": at_most + 1}
        rows = _beginnings_query(len(beginnings)).rows(session, **values)
        return TermMatches.of_rows(rows, len(beginnings), at_most)

    def prepare(self, _database: Database, /) -> None:
        """Do nothing: autovacuum is on by default."""

    def purge(self, _database: Database, /) -> bool:
        """Do nothing and return True: autovacuum erases deleted words later."""
        return True


def _parameters(project_id: str, terms: Iterable[str]) -> dict[str, str]:
    return {"project": project_id} | {f"t{position}": term for position, term in enumerate(terms)}


@cache
def _match_query(term_count: int) -> Query:
    parts = (
        f"SELECT {term}, count(*), string_agg(memory_number::text, ',') FROM"  # noqa: S608 - numbers
        " (SELECT memory_number FROM memory_words WHERE project_id = :project"
        f" AND words @@ plainto_tsquery('memory_words', :t{term}) LIMIT :at_most) AS matches"
        for term in range(term_count)
    )
    return Query(sa.text(" UNION ALL ".join(parts)))


@cache
def _newest_query(is_narrowed: bool) -> Query:
    narrow = (
        " AND memory_number IN (SELECT value::bigint FROM json_array_elements_text(:allowed))" if is_narrowed else ""
    )
    return Query(
        sa.text(
            "SELECT 0, count(*), string_agg(memory_number::text, ',') FROM"  # noqa: S608 - no input
            " (SELECT memory_number FROM memory_words WHERE project_id = :project"
            f" AND words @@ plainto_tsquery('memory_words', :t0){narrow}"
            " ORDER BY memory_number DESC LIMIT :at_most) AS matches"
        )
    )


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
        f"SELECT {position}, count(*), string_agg(memory_number::text, ',') FROM"  # noqa: S608 - numbers
        " (SELECT memory_number FROM memory_words WHERE project_id = :project"
        f" AND words @@ CAST(NULLIF(CAST(plainto_tsquery('simple', :t{position}) AS text), '') || ':*' AS tsquery)"
        " LIMIT :at_most) AS matches"
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
