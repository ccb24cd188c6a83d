"""Opens the database for commands that need what is in it. They must not create an empty one in a wrong place."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import sqlalchemy as sa
from sqlmodel import col

from server.commands.sqlite_copy import require_database
from server.domain import names
from server.errors import Conflict, NotFound
from server.models import Project
from server.models.projects import IS_DELETED
from server.settings import Settings, SettingsError
from server.storage.database import Database, migrated

MOST_PROJECTS = 20
"""A refusal lists at most this many projects with the same name."""


@contextmanager
def existing(settings: Settings, *, connections: int = 2) -> Iterator[Database]:
    """Open the database, upgraded to the newest schema. Raises SettingsError if it has no tables of this server."""
    require_database(settings)
    url = settings.database_url.get_secret_value()
    _require_tables(url)
    with migrated(url, connections=connections, quota=settings.quota) as database:
        yield database


def find_project(database: Database, name: str) -> str:
    """Return the id of the project with this id, or with this name if no other has it. Raises NotFound, Conflict."""
    is_meant = col(Project.id) == name, col(Project.name_key) == names.key_of(names.as_stored(name))
    query = sa.select(col(Project.id)).where(sa.or_(*is_meant), sa.not_(IS_DELETED))
    with database.read() as session:
        ids = session.scalars(query.order_by(col(Project.id) != name, col(Project.id)).limit(MOST_PROJECTS)).all()
    if not ids:
        raise NotFound(
            f"There is no project with the id or name {name}. The Settings page of a project shows its id, which "
            "begins with proj_, and so does GET /api/projects."
        )
    if len(ids) > 1 and ids[0] != name:
        raise Conflict(f"Several projects have the name {name}: give the id of one, such as {', '.join(ids)}.")
    return ids[0]


def _require_tables(url: str) -> None:
    with closing(Database(url, connections=1)) as database:
        if not sa.inspect(database.engine).has_table("alembic_version"):
            raise SettingsError(
                "the database has no tables of this server: check SELFMEMORY_DATABASE_URL and SELFMEMORY_DATA_DIR, or "
                "start the server once"
            )
