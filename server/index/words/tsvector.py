"""The word index on Postgres: a table `memory_words` with one tsvector per memory.

A GIN index covers project and words, so a search reads its own project's entries only.

`plainto_tsquery` stems a term as `to_tsvector` stems the stored words, and treats no character as an operator. Both use
the configuration `memory_words` of our migrations: FTS5's stemmer, and no stop words.

A row's foreign key deletes it together with its memory, and autovacuum erases deleted rows from disk. The methods that
remove and purge therefore do nothing here.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import sqlalchemy as sa
from sqlmodel import Session

from server.index.words.protocol import TermMatches, WordIndex, WordRow, WordSql, union
from server.storage.database import Database
from server.storage.statements import Query


class Tsvector(WordIndex):
    sql = WordSql(
        number="memory_number",
        numbers="string_agg(memory_number::text, ',')",
        holding="FROM memory_words WHERE project_id = :project AND words @@ plainto_tsquery('memory_words', :t{term})",
        is_allowed=" AND memory_number IN (SELECT value::bigint FROM json_array_elements_text(:allowed))",
    )

    either_sql = replace(
        sql,
        holding="FROM memory_words WHERE project_id = :project"
        " AND words @@ (SELECT to_tsquery('memory_words', :t{term}))",
    )
    """A subquery, because otherwise Postgres takes each of 300 spellings for a word that some memories have, and reads
    all memories instead of the index.
    """

    def parameters(self, project_id: str, terms: Sequence[str]) -> dict[str, str]:
        return {"project": project_id} | {f"t{position}": term for position, term in enumerate(terms)}

    def either(self, project_id: str, terms: Sequence[Sequence[str]]) -> dict[str, str]:
        queries = ("|".join(spelling.replace(" ", "<->") for spelling in spellings) for spellings in terms)
        return self.parameters(project_id, [*queries])

    def write(self, session: Session, project_id: str, rows: Sequence[WordRow]) -> None:
        values = [
            {"number": row.number, "project": project_id, "words": " ".join((*row.body, *row.dates))} for row in rows
        ]
        _WRITE.run(session, values)

    def remove_memories(self, session: Session, numbers: Sequence[int]) -> None:
        """Do nothing: the foreign key cascades."""

    def remove_orphans(self, session: Session) -> None:
        """Do nothing: the foreign key prevents orphans."""

    def beginnings(self, session: Session, project_id: str, beginnings: Sequence[str], at_most: int) -> TermMatches:
        values = self.parameters(project_id, beginnings)
        rows = _beginnings_query(len(beginnings)).rows(session, **values, at_most=at_most + 1)
        return TermMatches.of_rows(rows, len(beginnings), at_most)

    def prepare(self, _database: Database, /) -> None:
        """Do nothing: autovacuum is on by default."""

    def purge(self, _database: Database, /) -> bool:
        """Do nothing and return True: autovacuum erases deleted words later."""
        return True


@cache
def _beginnings_query(count: int) -> Query:
    return union(
        f"SELECT {position}, count(*), string_agg(memory_number::text, ',') FROM"  # noqa: S608 - numbers
        " (SELECT memory_number FROM memory_words WHERE project_id = :project"
        f" AND words @@ CAST(NULLIF(CAST(plainto_tsquery('simple', :t{position}) AS text), '') || ':*' AS tsquery)"
        " LIMIT :at_most) AS matches"
        for position in range(count)
    )


_WRITE = Query(
    sa.text(
        "INSERT INTO memory_words (memory_number, project_id, words)"
        " VALUES (:number, :project, to_tsvector('memory_words', :words))"
        " ON CONFLICT ON CONSTRAINT memory_words_pkey DO UPDATE SET words = EXCLUDED.words"
    )
)
