"""Indexes of tables that may be large, built while others write. Each has a migration with nothing else in it."""

import sqlalchemy as sa
from alembic import op

_IS_INVALID = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")

_IS_PARTITIONED = sa.text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(:name)")


def create_index(name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    """Create the index. May be repeated: an index that an interrupted run left unfinished is built again.

    On Postgres it ends the migration's transaction, except for a partitioned table, for which Postgres cannot build an
    index while others write. SQLite has one writer anyway.
    """
    if op.get_bind().dialect.name == "sqlite" or op.get_bind().scalar(_IS_PARTITIONED, {"name": table}):
        op.create_index(name, table, columns, unique=unique)
        return
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.execute(sa.text("SET lock_timeout = 0"))  # the statement waits for transactions that began before it
        if connection.scalar(_IS_INVALID, {"name": name}):
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(name, table, columns, unique=unique, postgresql_concurrently=True, if_not_exists=True)
