"""Erases from disk the words and the vectors of deleted memories, and the collections that no project uses."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.index.chroma.collections import Collections
from server.index.outbox import PURGE
from server.index.words.backend import word_index_of
from server.models import metadata
from server.models.base import now
from server.storage.database import Database

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 5.0, 60.0
PAUSE_FACTOR = 9
"""An erasure is followed by a pause of this many times its own length, because it may rewrite the whole word index
while others want to write.
"""

_projects = metadata.tables["projects"]
_indexes = metadata.tables["project_indexes"]
_tasks = metadata.tables["index_tasks"]


def erase(database: Database, chroma: "Chroma", project_id: str, collection: str, removals: int) -> None:
    """Remove the vectors of the project's first `removals` deleted memories from the collection's files. They are
    already overwritten in Chroma's memory (`Chroma.erase_pieces`). This costs as much as a thousand changes, for a
    collection of any size.
    """
    chroma.write_files(collection)
    is_same = sa.and_(_indexes.c.project_id == project_id, _indexes.c.collection == collection)
    with database.write() as session:
        session.execute(sa.update(_indexes).where(is_same).values(erased=removals, erased_at=now()))


def sweep(
    database: Database, collections: Collections, open_chroma: Callable[[], "Chroma"], exact_scan_limit: int
) -> None:
    """Delete the collections that no project uses.

    It lists the collections before it reads which ones are used: a name is stored before its collection is created,
    and is never used again afterwards. So no sweep deletes a collection that another process is building, however late
    the sweep is.
    """
    small = sa.select(_projects.c.id).where(_projects.c.piece_count * 2 <= exact_scan_limit)
    with database.write() as session:
        session.execute(sa.delete(_indexes).where(_indexes.c.project_id.in_(small)))
        is_used = session.scalar(sa.select(_indexes.c.project_id).limit(1)) is not None
    if not (is_used or collections.uses_server or collections.is_open):
        return
    chroma = open_chroma()
    names = chroma.list_names()
    with database.read() as session:
        used = {name for row in session.execute(sa.select(_indexes.c.collection, _indexes.c.building)) for name in row}
    for name in names - used:
        chroma.delete_collection(name)


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
