"""Alembic's entry point: uses the transaction that `server.storage.database.migrate` passes in, or opens
SELFMEMORY_DATABASE_URL."""

import sqlalchemy as sa
from alembic import context

from server.models import metadata
from server.settings import read_settings


def _is_ours(_item: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    """Leave out the word index, which is created by hand: FTS5 has shadow tables, and Postgres has a special index."""
    return not (kind in ("table", "index") and (name or "").startswith(("memory_words", "ix_memory_words")))


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=_is_ours,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with sa.create_engine(read_settings().database_url.get_secret_value()).connect() as own:
        _run(own)
