"""Takes deleted words off the disk: FTS5 only marks them until its parts are merged, and the log keeps old pages.

Postgres has its own cleaner (autovacuum).
"""

import sqlite3

import sqlalchemy as sa

from server.database import Database

MERGED_PAGES = 64
"""Pages merged in one transaction: other writers wait that long, 10 ms or so."""

WORN = 1_000
"""Bytes of FTS5's record of its structure: merging adds levels to it that stay, and with 2,000 of them (4 KB) an old
SQLite refuses the whole index as malformed."""

CAN_DELETE_SECURELY = sqlite3.sqlite_version_info >= (3, 42)
_MERGE = sa.text("INSERT INTO memory_words (memory_words, rank) VALUES ('merge', :pages)")
_REBUILD = sa.text("INSERT INTO memory_words (memory_words) VALUES ('rebuild')")
_STRUCTURE_BYTES = sa.text("SELECT length(block) FROM memory_words_data WHERE id = 10")  # ext/fts5/fts5_index.c
_CHANGES = sa.text("SELECT total_changes()")
_DELETE_SECURELY = sa.text("INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1)")


def prepare(database: Database) -> None:
    """Let FTS5 remove words when they are deleted, where it can."""
    if database.is_sqlite and CAN_DELETE_SECURELY:
        with database.write() as session:
            session.execute(_DELETE_SECURELY)


def purge(database: Database) -> bool:
    """Remove every trace of deleted words; false when a reader of an older state was in the way: try again."""
    if not database.is_sqlite:
        return True
    if not CAN_DELETE_SECURELY:
        _renew_when_worn(database)
        while _merge(database):
            pass
    return _checkpoint(database)


def _renew_when_worn(database: Database) -> None:
    """Build the index anew from its own content, in one step: every few hundred purges, a second for 100,000 rows."""
    with database.write() as session:
        size: int = session.execute(_STRUCTURE_BYTES).scalar_one()
        if size > WORN:
            session.execute(_REBUILD)


def _merge(database: Database) -> bool:
    """One small step towards a single part without deleted words; false when nothing is left to do."""
    with database.write() as session:
        before: int = session.execute(_CHANGES).scalar_one()
        session.execute(_MERGE, {"pages": -MERGED_PAGES})
        after: int = session.execute(_CHANGES).scalar_one()
        return after - before >= 2  # the command itself counts as one (FTS5 documentation, "The 'merge' command")


def _checkpoint(database: Database) -> bool:
    """Move the log into the database and empty it."""
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        (patience,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute("PRAGMA busy_timeout = 100")
        (busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {int(patience)}")
        return not busy
    finally:
        connection.close()
