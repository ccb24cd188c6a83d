"""Opens the database for commands that need what is in it. They must not create an empty one in a wrong place."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from server.commands.sqlite_copy import require_database
from server.database import Database, migrated
from server.settings import Settings, SettingsError


@contextmanager
def existing(settings: Settings, *, connections: int = 2) -> Iterator[Database]:
    """Open the database, upgraded to the newest schema. Raises SettingsError if it has no tables of this server."""
    require_database(settings)
    url = settings.database_url.get_secret_value()
    _require_tables(url)
    with migrated(url, connections=connections, quota=settings.quota) as database:
        yield database


def _require_tables(url: str) -> None:
    database = Database(url, connections=1)
    try:
        if not sa.inspect(database.engine).has_table("alembic_version"):
            raise SettingsError(
                "the database has no tables of this server: check SELFMEMORY_DATABASE_URL and SELFMEMORY_DATA_DIR, or "
                "start the server once"
            )
    finally:
        database.close()
