"""Removes the content of deleted projects, in short transactions. Nobody can reach that content any more: see
`Project`. The database records what is left, so an interrupted removal continues where it stopped.
"""

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlmodel import Session

from server.index import outbox
from server.index.words.backend import word_index_of
from server.models import metadata
from server.models.projects import deleted_projects
from server.storage import chunks
from server.storage.database import Database

_projects = metadata.tables["projects"]
_memories = metadata.tables["memories"]
_imports = metadata.tables["imports"]
_staged = metadata.tables["staged_memories"]


def remove_some(database: Database) -> bool:
    """Remove a part of a deleted project, and at the end its row. Return whether there may be more."""
    with database.read() as session:
        project_id = session.scalar(deleted_projects().limit(1))
    if project_id is None:
        return False
    until = time.monotonic() + chunks.TURN_SECONDS
    with database.write() as session:
        while any(remove(session, project_id) for remove in _PARTS):
            if time.monotonic() > until:
                return True
        session.execute(sa.delete(_projects).where(_projects.c.id == project_id))
        outbox.request_purge(session, project_id)
    return True


def remove_all(database: Database) -> bool:
    """Remove all deleted projects. Return whether there were any."""
    were_any = False
    while remove_some(database):
        were_any = True
    return were_any


def _remove_memories(session: Session, project_id: str) -> bool:
    numbers = chunks.next_numbers(session, _memories.c.project_id == project_id)
    if numbers:
        word_index_of(session).remove_memories(session, numbers)
        session.execute(sa.delete(_memories).where(_memories.c.number.in_(numbers)))
    return bool(numbers)


def _remove_staged(session: Session, project_id: str) -> bool:
    of_project = sa.select(_imports.c.id).where(_imports.c.project_id == project_id)
    return chunks.delete_some(session, _staged, _staged.c.import_id.in_(of_project))


def _of(name: str) -> Callable[[Session, str], bool]:
    """Return a function that removes some of the project's rows from a table."""
    table = metadata.tables[name]

    def remove(session: Session, project_id: str) -> bool:
        return chunks.delete_some(session, table, table.c.project_id == project_id)

    return remove


_PARTS = (
    _remove_memories, _of("trashed_memories"), _remove_staged, _of("activity_events"), _of("idempotency_keys"),
)  # fmt: skip
"""The tables in which a project may have many rows. All others are deleted together with the project's row."""
