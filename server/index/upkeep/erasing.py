"""Removes from Chroma what nothing needs any more: collections of projects, and the vectors of deleted memories."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.database import Database
from server.index.chroma.collections import Collections
from server.models import metadata
from server.models.base import now

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

_projects = metadata.tables["projects"]
_indexes = metadata.tables["project_indexes"]


def erase(database: Database, chroma: "Chroma", project_id: str, collection: str, removals: int) -> None:
    """Let the vectors of the project's first `removals` deleted memories leave the collection's files.

    What was deleted is overwritten in Chroma's memory already (`Chroma.erase_pieces`). The cost is that of a thousand
    changes, whatever the size of the collection.
    """
    chroma.write_files(collection)
    is_same = sa.and_(_indexes.c.project_id == project_id, _indexes.c.collection == collection)
    with database.write() as session:
        session.execute(sa.update(_indexes).where(is_same).values(erased=removals, erased_at=now()))


def sweep(
    database: Database, collections: Collections, open_chroma: Callable[[], "Chroma"], exact_scan_limit: int
) -> None:
    """Delete the collections that no project uses.

    Lists them before it reads which are used: a name is stored before its collection is created, and never used again
    when it is no longer stored. So no sweep deletes what another process builds, however late it is.
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
