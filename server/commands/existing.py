"""Opens the database for commands that need what is in it. They must not create an empty one in a wrong folder."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.commands.sqlite_copy import database_file
from server.database import Database, migrated
from server.settings import Settings, SettingsError


@contextmanager
def existing(settings: Settings, *, connections: int = 2) -> Iterator[Database]:
    """Open the database, upgraded to the newest schema. Raises SettingsError if there is none."""
    if settings.is_sqlite and not (file := database_file(settings)).exists():
        raise SettingsError(f"there is no database {file}: set SELFMEMORY_DATA_DIR to the folder of the server")
    with migrated(settings.database_url.get_secret_value(), connections=connections, quota=settings.quota) as database:
        yield database
