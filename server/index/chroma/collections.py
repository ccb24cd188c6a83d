"""Finds the memories near a question in a project's Chroma collection, or returns None if SQL must be scanned."""

import hashlib
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session

from server.index.center import without_mean
from server.index.chroma.failures import ChromaFailed
from server.index.types import Space, Vector
from server.models import metadata
from server.settings import Settings
from server.storage.database import Database, insert_for
from server.storage.statements import Query

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

ATTEMPTS = 2
MAX_PENDING_TASKS = 2_000
"""If more changes than this are pending for Chroma, scanning the whole project is faster."""

COOLDOWN_SECONDS = 10.0
"""After a failure, searches skip Chroma for this long, so that they do not wait for it."""

OPENING_SECONDS = 1.0
"""The longest wait of a search while another thread opens Chroma."""

_indexes = metadata.tables["project_indexes"]
_tasks = metadata.tables["index_tasks"]
_installation = metadata.tables["installation"]

_READY = Query(
    sa.select(_indexes.c.collection, _indexes.c.mean)
    .where(_indexes.c.project_id == sa.bindparam("project"), _indexes.c.embedding_model == sa.bindparam("model"))
    .where(_indexes.c.ready_at.is_not(None))
)
_PENDING = Query(
    sa.select(_tasks.c.memory_number)
    .where(_tasks.c.project_id == sa.bindparam("project"), _tasks.c.memory_number > 0)
    .limit(MAX_PENDING_TASKS + 1)
)


@dataclass(frozen=True, slots=True)
class Collection:
    """A project's collection, and the mean that was subtracted from its vectors."""

    name: str
    mean: Vector


class Collections:
    """The collections of one Chroma. Only the index's owner opens an embedded one; other processes scan SQL."""

    def __init__(self, settings: Settings, database: Database, space: Space) -> None:
        self._settings = settings
        self._database = database
        self._space = space
        self._opening = threading.Lock()
        self._chroma: Chroma | None = None
        self._probing = threading.Lock()
        self._paused_until = 0.0
        self.failure: str | None = None
        """Why the last use of Chroma failed; None if it succeeded."""

        self._is_damaged = False
        self.damaged: set[str] = set()
        """Collections that must be rebuilt."""

    @property
    def uses_server(self) -> bool:
        return bool(self._settings.chroma_url)

    @property
    def is_open(self) -> bool:
        return self._chroma is not None

    def open(self, *, as_owner: bool) -> "Chroma | None":
        """Return Chroma, opened if necessary. None if it is embedded and was not opened by the owner.

        Also None if another thread takes too long to open it, since searches work without Chroma. Raises ChromaFailed.
        """
        wait = -1 if as_owner else OPENING_SECONDS
        if self._chroma is None and (as_owner or self.uses_server) and self._opening.acquire(timeout=wait):
            try:
                self._chroma = self._chroma or self._open()
            finally:
                self._opening.release()
        return self._chroma

    def close(self) -> None:
        if self._chroma is not None:
            self._chroma.close()
            self._chroma = None

    def find(self, session: Session, project_id: str) -> Collection | None:
        """Return the project's collection, which is complete except for the changes that are pending in SQL. None if it
        is not ready or holds another model's vectors.
        """
        row = _READY.row(session, project=project_id, model=self._space.name)
        if row is None:
            return None
        name, mean = row
        return Collection(name, np.frombuffer(mean, "<f4"))

    def find_nearest(
        self, session: Session, project_id: str, collection: Collection, question: Vector, wanted: int, pieces: int
    ) -> set[int] | None:
        """Return about the `wanted` memories nearest to the question, plus all pending ones.

        `pieces` is how many pieces to request for each memory. None means "scan SQL": too many changes are pending,
        or Chroma failed twice and searches do not use it for `COOLDOWN_SECONDS`.
        """
        if not self._may_try():
            return None
        # Read the pending tasks before asking Chroma, so that a change that Chroma learns in between is in both lists
        # instead of in neither.
        pending = [number for (number,) in _PENDING.rows(session, project=project_id)]
        if len(pending) > MAX_PENDING_TASKS:
            return None
        count = wanted + len(pending)  # Chroma may still return pending memories that were deleted
        near = self._query(project_id, collection.name, without_mean(question, collection.mean), count * pieces)
        return None if near is None else {*near[:count], *pending}

    def report_failure(self, error: ChromaFailed) -> None:
        """Show the failure in the health check. Note what to rebuild: a collection, or all of an embedded Chroma."""
        self.failure = f"Chroma failed ({error}); searches scan SQL instead"
        if error.damage and error.collection:
            self.damaged.add(error.collection)
        elif error.damage and not self.uses_server:
            self._is_damaged = True

    def mark_damaged(self) -> None:
        """Mark the collections that failed in this process for rebuilding. Every process does this, not only the
        index's owner. Close an embedded Chroma that is damaged as a whole.
        """
        if self._is_damaged:
            self._is_damaged = False
            broken, self._chroma = self._chroma, None
            if broken is not None:
                broken.abandon()
        names, columns = sorted(self.damaged), _indexes.c
        if names:
            with self._database.write() as session:
                for column, blank in ((columns.collection, {"ready_at": None}), (columns.building, {"building": ""})):
                    session.execute(sa.update(_indexes).where(column.in_(names)).values(blank))
            self.damaged.difference_update(names)

    def _may_try(self) -> bool:
        """Return whether to use Chroma. After a failure and its cooldown, one search tries it first."""
        with self._probing:
            if self.failure is None:
                return True
            if time.monotonic() < self._paused_until:
                return False
            self._paused_until = time.monotonic() + COOLDOWN_SECONDS
            return True

    def _query(self, project_id: str, name: str, centered: Vector, count: int) -> list[int] | None:
        for _ in range(ATTEMPTS):
            try:
                chroma = self.open(as_owner=False)
                if chroma is None:
                    return None
                near = chroma.find_nearest(name, centered, count)
            except ChromaFailed as failed:
                error = failed
            else:
                self.failure = None
                return near
        self._pause(project_id, error)
        return None

    def _pause(self, project_id: str, error: ChromaFailed) -> None:
        self.report_failure(error)
        self._paused_until = time.monotonic() + COOLDOWN_SECONDS
        log.warning("chroma failed", extra={"project_id": project_id, "kind": str(error)})

    def _open(self) -> "Chroma":
        from server.index.chroma.client import open_embedded, open_served  # noqa: PLC0415 - takes a second

        if not self.uses_server:
            return open_embedded(self._settings.data_dir / "chroma")
        # Earlier versions named collections after the database's URL, so that a new password orphaned all of them.
        addresses = self._settings.public_url + self._settings.database_url.get_secret_value()
        earlier_prefix = f"memories-{hashlib.sha256(addresses.encode()).hexdigest()[:12]}-"
        return open_served(self._settings, f"memories-{self._installation_id()}-", earlier_prefix)

    def _installation_id(self) -> str:
        """Return the id of this database, which names its collections. Create it if this is the first use."""
        query = sa.select(_installation.c.id)
        with self._database.read() as session:
            known: str | None = session.scalar(query)
        if known is None:
            with self._database.write() as session:
                new = {"number": 1, "id": secrets.token_hex(8)}
                insert = insert_for(self._database.is_sqlite, _installation)
                session.execute(insert.values(new).on_conflict_do_nothing())
                known = session.scalars(query).one()
        return str(known)
