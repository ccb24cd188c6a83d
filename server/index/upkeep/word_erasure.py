"""Erases the words of deleted memories from disk."""

import time

import sqlalchemy as sa

from server.index.outbox import PURGE
from server.index.words.backend import word_index_of
from server.models import metadata
from server.storage.database import Database

LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 5.0, 60.0
PAUSE_FACTOR = 9
"""An erasure is followed by a pause of this many times its own length, because it may rewrite the whole word index
while others want to write.
"""

_tasks = metadata.tables["index_tasks"]


class WordErasure:
    """The erasures of one process, with a pause after each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._due_at = 0.0

    def step(self) -> bool:
        """Erase the words of the memories that were deleted until now, unless the pause is not over. Return whether
        words were erased.
        """
        began = time.monotonic()
        if began < self._due_at:
            return False
        requests = _tasks.c.memory_number == PURGE
        with self._database.read() as session:
            newest = session.scalar(sa.select(sa.func.max(_tasks.c.number)).where(requests))
        if newest is None or not word_index_of(self._database).purge(self._database):
            return False
        with self._database.write() as session:
            session.execute(sa.delete(_tasks).where(requests, _tasks.c.number <= newest))
        ended = time.monotonic()
        pause = max(LEAST_PAUSE_SECONDS, PAUSE_FACTOR * (ended - began))
        self._due_at = ended + min(pause, MOST_PAUSE_SECONDS)
        return True
