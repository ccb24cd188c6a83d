"""Erases deleted words from SQLite's files.

FTS5 only marks deleted words until it merges the segments of its index, and the write-ahead log keeps old pages.
"""

import sqlite3

import sqlalchemy as sa

from server.storage.database import Database
from server.storage.sqlite import waiting

MERGE_PAGES = 64
"""How many pages one transaction merges. Other writers wait for it, about 10 ms."""

CHECKPOINT_SECONDS = 0.1
"""How long a checkpoint waits for readers and writers."""

MAX_STRUCTURE_BYTES = 1_000
"""The size of FTS5's structure record at which the index is rebuilt.

Every merge adds a level to the record, and none removes one. At 2,000 levels (4 KB), an old SQLite rejects the index.
"""

CAN_DELETE_SECURELY = sqlite3.sqlite_version_info >= (3, 42)
"""Whether FTS5 itself can erase words when they are deleted."""

_MERGE = sa.text("INSERT INTO memory_words (memory_words, rank) VALUES ('merge', :pages)")
_REBUILD = sa.text("INSERT INTO memory_words (memory_words) VALUES ('rebuild')")
_STRUCTURE_BYTES = sa.text("SELECT length(block) FROM memory_words_data WHERE id = 10")  # ext/fts5/fts5_index.c
_CHANGES = sa.text("SELECT total_changes()")
_CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"
_DELETE_SECURELY = sa.text("INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1)")


def prepare(database: Database) -> None:
    """Make FTS5 erase words when they are deleted, if this SQLite can. The setting is stored in the index."""
    if CAN_DELETE_SECURELY:
        with database.write() as session:
            session.execute(_DELETE_SECURELY)


def purge(database: Database) -> bool:
    """Erase every trace of deleted words. Return False when a reader of an older state was in the way."""
    if not CAN_DELETE_SECURELY:
        _rebuild_if_worn(database)
        while _merge(database):
            pass
    return _checkpoint(database)


def _rebuild_if_worn(database: Database) -> None:
    """Rebuild the index from its own content. Needed every few hundred purges; takes a second for 100,000 rows."""
    with database.write() as session:
        size: int = session.execute(_STRUCTURE_BYTES).scalar_one()
        if size > MAX_STRUCTURE_BYTES:
            session.execute(_REBUILD)


def _merge(database: Database) -> bool:
    """Merge a few pages towards one segment without deleted words. Return False when merging is complete."""
    with database.write() as session:
        before: int = session.execute(_CHANGES).scalar_one()
        session.execute(_MERGE, {"pages": -MERGE_PAGES})
        after: int = session.execute(_CHANGES).scalar_one()
        # The command itself is one change (FTS5 documentation, "The 'merge' command").
        return after - before >= 2


def _checkpoint(database: Database) -> bool:
    """Copy the write-ahead log into the database and truncate it. Return False when a reader was in the way.

    Raises OperationalError of SQLAlchemy, like other statements, for example if the disk is full.
    """
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        with waiting(cursor.execute, CHECKPOINT_SECONDS):
            (is_busy, _, _) = cursor.execute(_CHECKPOINT).fetchone()
        return not is_busy
    except sqlite3.OperationalError as error:
        raise sa.exc.OperationalError(_CHECKPOINT, None, error) from error
    finally:
        connection.close()
