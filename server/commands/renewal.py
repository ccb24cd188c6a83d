"""What follows when a backup becomes the database: its index is built from SQL, and it is told from others."""

import secrets

import sqlalchemy as sa

from server.commands.progress import progress_bar
from server.database import Database
from server.index.upkeep import rebuild, rewriting
from server.models import Installation


def renew(database: Database, installation: str | None) -> None:
    """Count again, write the words, and mark the collections of large projects for rebuilding.

    `installation` is the id of the database that gives way: its collections on a Chroma server become those of the
    new one, which deletes them. Without one the id is new: the server that was backed up may still use its own.
    """
    rebuild.recount(database)
    with progress_bar() as show:
        for progress in rewriting.rewrite_all(database):
            show(progress)
    rebuild.forget_collections(database)
    with database.write() as session:
        session.execute(sa.delete(Installation))
        session.add(Installation(id=installation or secrets.token_hex(8)))
