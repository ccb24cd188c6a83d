"""The doctor's check of Chroma: does it answer, and does its content match SQL?"""

import sqlalchemy as sa
from sqlmodel import col

from server.commands.checks import CheckFailed
from server.commands.existing import existing
from server.index.chroma.failures import ChromaFailed
from server.machine.own_command import command_line
from server.models import IndexTask, Project, ProjectIndex
from server.plurals import count
from server.settings import Settings
from server.storage.database import Database
from server.storage.statements import count_rows

MOST_COLLECTIONS = 200
"""How many collections to count, largest first. Each takes one request."""

WHAT_TO_CHECK = {
    "Unauthorized": "SELFMEMORY_CHROMA_TOKEN",
    "CertificateRefused": "its certificate (SSL_CERT_FILE may name the authority that signed it)",
    "NotFoundError": "SELFMEMORY_CHROMA_TENANT and SELFMEMORY_CHROMA_DATABASE, which the server must have",
}
"""What to check, by the kind of failure of a server that is there."""


def check_chroma(settings: Settings) -> str:
    """Return a summary of what was found. Raises CheckFailed."""
    with existing(settings) as database:
        ready, missing = _collections(database, settings.exact_scan_limit)
    collections = count(len(ready), "collection")
    if not settings.chroma_url:
        return f"embedded, used by the server only: {collections} ready, {missing} not built yet"
    try:
        wrong = _count_wrong(settings, ready)
    except ChromaFailed as error:
        kind = str(error)
        failure = "cannot be used" if kind in WHAT_TO_CHECK else "does not answer"
        what = WHAT_TO_CHECK.get(kind, "SELFMEMORY_CHROMA_URL, and that it runs")
        raise CheckFailed(f"{failure} ({kind}), so searches of large projects are slow: check {what}") from None
    if wrong:
        verb = "does" if wrong == 1 else "do"
        raise CheckFailed(f"{wrong} of {collections} {verb} not match SQL: run {command_line('reindex')}")
    return f"the server answers: {collections} ready, {missing} not built yet"


def _collections(database: Database, limit: int) -> tuple[dict[str, int | None], int]:
    """Return the number of pieces for each ready collection (None: changes are pending), and how many are missing."""
    is_pending = sa.exists().where(col(IndexTask.project_id) == Project.id, col(IndexTask.memory_number) > 0)
    query = (
        sa.select(col(ProjectIndex.collection), col(Project.piece_count), is_pending)
        .join(Project, col(Project.id) == ProjectIndex.project_id)
        .where(col(ProjectIndex.ready_at).is_not(None))
        .order_by(col(Project.piece_count).desc())
    )
    with database.read() as session:
        ready = {name: None if pending else pieces for name, pieces, pending in session.execute(query)}
        return ready, max(count_rows(session, Project, col(Project.piece_count) > limit) - len(ready), 0)


def _count_wrong(settings: Settings, ready: dict[str, int | None]) -> int:
    """Return how many collections are missing or hold a different number of pieces. Raises ChromaFailed."""
    from server.index.chroma.client import open_served  # noqa: PLC0415 - takes a second

    chroma = open_served(settings, "memories-", "memories-")
    try:
        there = chroma.list_names()
        counted = [name for name, pieces in ready.items() if name in there and pieces is not None][:MOST_COLLECTIONS]
        return len(ready.keys() - there) + sum(chroma.count(name) != ready[name] for name in counted)
    finally:
        chroma.close()
