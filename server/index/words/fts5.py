"""The word index on SQLite: an FTS5 table `memory_words` whose `rowid` is the memory's number.

FTS5 keeps one index for all projects. Every stored word begins with a prefix of its project, so that a search reads
only that project's entries. The prefix has no vowels. FTS5's Porter stemmer decides by the syllables of a word, which
it finds by their vowels; with such a prefix it counts the syllables of the word itself.

FTS5's own score, bm25(), is not used: it weighs a word by its rarity in the whole table, and compares the length of a
memory with the mean length of all projects' memories.

The column `context` is empty. Earlier versions kept the end of the previous memory there.
"""

import hashlib
from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa
from sqlmodel import Session

from server.index.words import fts5_purge
from server.index.words.protocol import TermMatches, WordIndex, WordRow, WordSql, union
from server.storage.database import Database
from server.storage.statements import Query, as_json

WORDS_PER_MEMORY = 4
"""So many words with a beginning are read for each memory that may have it, so that long memories are found too."""

_CONSONANTS = "bcdfghjklmnpqrst"


class Fts5(WordIndex):
    sql = WordSql(
        number="rowid",
        numbers="group_concat(rowid)",
        holding="FROM memory_words WHERE memory_words MATCH :t{term}",
        is_allowed=" AND +rowid IN (SELECT value FROM json_each(:allowed))",
    )
    either_sql = sql

    def parameters(self, project_id: str, terms: Sequence[str]) -> dict[str, str]:
        """Return an FTS5 query for each term, quoted so that no term is an operator."""
        prefix = _prefix_of(project_id)
        return {f"t{position}": f'"{prefix}{term}"' for position, term in enumerate(terms)}

    def either(self, project_id: str, terms: Sequence[Sequence[str]]) -> dict[str, str]:
        prefix = _prefix_of(project_id)
        phrases = ((f'"{_prefixed(prefix, spelling.split())}"' for spelling in spellings) for spellings in terms)
        return {f"t{position}": " OR ".join(spellings) for position, spellings in enumerate(phrases)}

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

    def beginnings(self, session: Session, project_id: str, beginnings: Sequence[str], at_most: int) -> TermMatches:
        prefix = _prefix_of(project_id)
        values = {f"t{position}": f"{prefix}{beginning}" for position, beginning in enumerate(beginnings)}
        _CREATE_VOCABULARY.rows(session)
        most = {"at_most": at_most + 1, "most_words": at_most * WORDS_PER_MEMORY}
        rows = _beginnings_query(len(beginnings)).rows(session, **values, **most)
        return TermMatches.of_rows(rows, len(beginnings), at_most)

    def prepare(self, database: Database, /) -> None:
        fts5_purge.prepare(database)

    def purge(self, database: Database, /) -> bool:
        return fts5_purge.purge(database)


def _prefix_of(project_id: str) -> str:
    digest = hashlib.sha256(project_id.encode()).digest()
    return "".join(_CONSONANTS[byte % 16] + _CONSONANTS[byte // 16] for byte in digest[:5])


def _prefixed(prefix: str, terms: Sequence[str]) -> str:
    return prefix + f" {prefix}".join(terms) if terms else ""


@cache
def _beginnings_query(count: int) -> Query:
    return union(
        f"SELECT {position}, CASE WHEN sum(words) > :most_words THEN :at_most ELSE count(*) END, group_concat(doc) FROM"  # noqa: S608 - numbers
        " (SELECT doc, count(*) AS words FROM (SELECT doc FROM memory_vocabulary"
        f" WHERE term >= :t{position} AND term < :t{position} || char(1114111) LIMIT :most_words + 1)"
        " GROUP BY doc LIMIT :at_most)"
        for position in range(count)
    )


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
