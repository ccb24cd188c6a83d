"""Takes deleted words off the disk: FTS5 only marks them until its parts are merged, and the log keeps old pages.

Postgres has its own cleaner (autovacuum).
"""

import sqlite3

import sqlalchemy as sa

from server.database import Database

MERGED_PAGES = 64
"""Pages merged in one transaction: other writers wait that long, 10 ms or so."""

CAN_DELETE_SECURELY = sqlite3.sqlite_version_info >= (3, 42)
_MERGE = sa.text("INSERT INTO memory_words (memory_words, rank) VALUES ('merge', :pages)")
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
    while not CAN_DELETE_SECURELY and _merge(database):
        pass
    return _checkpoint(database)


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
