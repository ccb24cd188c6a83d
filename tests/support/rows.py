"""Counts the rows of each table, to see what a request stored."""

import sqlalchemy as sa

from server.models import metadata
from server.storage.database import Database


def row_counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {
            table.name: session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
