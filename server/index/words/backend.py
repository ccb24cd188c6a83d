"""Chooses the implementation of the word index for a database. No other module in this package does that."""

from sqlmodel import Session

from server.index.words.fts5 import Fts5
from server.index.words.protocol import WordIndex
from server.index.words.tsvector import Tsvector
from server.storage.database import Database, is_sqlite

_FTS5 = Fts5()
_TSVECTOR = Tsvector()


def word_index_of(source: Session | Database) -> WordIndex:
    """Return the word index of a database, or of the database that a session uses."""
    on_sqlite = source.is_sqlite if isinstance(source, Database) else is_sqlite(source)
    return _FTS5 if on_sqlite else _TSVECTOR
