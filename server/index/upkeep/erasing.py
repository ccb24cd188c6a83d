"""Removes data from Chroma that nothing needs any longer: unused collections, and the vectors of deleted memories."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from server.index.chroma.collections import Collections
from server.models import metadata
from server.models.base import now
from server.storage.database import Database

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

_projects = metadata.tables["projects"]
_indexes = metadata.tables["project_indexes"]


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
