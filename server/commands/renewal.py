"""Prepares a restored database: its index will be rebuilt from SQL, and its id separates it from other databases."""

import secrets

import sqlalchemy as sa

from server.commands.progress import progress_bar
from server.index.upkeep import rebuild, rewriting
from server.models import Installation
from server.storage.database import Database


def renew(database: Database, installation: str | None) -> None:
    """Recount, write the words, and mark the collections of large projects for rebuilding. `installation` is the id of
    the replaced database: the new one takes over its collections on a Chroma server, and deletes them. If it is None,
    the id is new, because the server that was backed up may still use its own collections.
    """
    rebuild.recount(database)
    with progress_bar() as show:
        for progress in rewriting.rewrite_all(database):
            show(progress)
    rebuild.forget_collections(database)
    with database.write() as session:
        session.execute(sa.delete(Installation))
        session.add(Installation(id=installation or secrets.token_hex(8)))
