"""Projects' collections in Chroma as a search sees them: what is near a question, or None when SQL must be scanned."""

import hashlib
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session

from server.index.chroma.failures import ChromaFailed
from server.index.exact.matrix import Centre
from server.index.outbox import Vectors
from server.models import metadata
from server.settings import Settings

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

log = logging.getLogger(__name__)

_indexes, _tasks = metadata.tables["project_indexes"], metadata.tables["index_tasks"]
ATTEMPTS = 2
MAX_PENDING_TASKS = 2_000
"""Changes of a project that Chroma has not seen; with more of them, scanning everything is quicker."""

COOLDOWN_SECONDS = 10.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A project's collection that is whole but for what is pending in SQL."""

    name: str
    centre: Centre
    removals: int
    ready_at: datetime


class Collections:
    """One Chroma. An embedded one is opened by the index's owner only; whoever has none scans SQL."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._settings, self._model = settings, model
        self._opening = threading.Lock()
        self._chroma: Chroma | None = None
        self.failure: str | None = None
        """Why Chroma was not of use when it was asked last; None when it was."""
        self.suspects: set[str] = set()
        """Projects whose collection is damaged: to be built anew."""
        self._rests_until = 0.0

    @property
    def are_served(self) -> bool:
        return bool(self._settings.chroma_url)

    @property
    def is_open(self) -> bool:
        return self._chroma is not None

    def open(self, *, as_owner: bool) -> "Chroma | None":
        """Chroma, opened when it is not yet and may be. Raises ChromaFailed."""
        if self._chroma is None and (as_owner or self.are_served):
            with self._opening:
                self._chroma = self._chroma or self._open()
        return self._chroma

    def close(self) -> None:
        if self._chroma is not None:
            self._chroma.close()
            self._chroma = None

    def of_project(self, session: Session, project_id: str) -> Collection | None:
        """None while there is none of the current model that may be asked."""
        own = _indexes.c
        query = sa.select(own.collection, own.mean, own.removals, own.ready_at).where(
            own.project_id == project_id, own.embedding_model == self._model, own.ready_at.is_not(None)
        )
        row = session.execute(query).one_or_none()
        if row is None:
            return None
        return Collection(row.collection, Centre(np.frombuffer(row.mean, "<f4")), row.removals, row.ready_at)

    def nearest(
        self, session: Session, project_id: str, collection: Collection, question: Vectors, wanted: int, pieces: int
    ) -> set[int] | None:
        """The `wanted` nearest memories (of so many pieces, about), with all that are pending; None: scan SQL.

        So it is when Chroma has much to learn, and when it fails twice: then it rests, so that no search waits for it.
        """
        tasks = sa.select(_tasks.c.memory_number).where(_tasks.c.project_id == project_id, _tasks.c.memory_number > 0)
        pending = tasks.limit(MAX_PENDING_TASKS + 1)
        if time.monotonic() < self._rests_until:
            return None
        found = session.scalars(pending).all()  # before Chroma is asked: what is followed meanwhile is in both
        if len(found) > MAX_PENDING_TASKS:
            return None
        asked = (wanted + len(found)) * pieces  # what is pending may be deleted already
        for attempt in range(ATTEMPTS):
            try:
                chroma = self.open(as_owner=False)
                if chroma is None:
                    return None
                near = chroma.nearest(collection.name, collection.centre.left(question), asked)
            except ChromaFailed as error:
                if attempt + 1 == ATTEMPTS:
                    self._failed(project_id, error)
            else:
                self.failure = None
                return {*near[: wanted + len(found)], *found}
        return None

    def failed(self, error: ChromaFailed) -> None:
        """Say so in health."""
        self.failure = f"Chroma failed ({error}); searches scan SQL instead"

    def _failed(self, project_id: str, error: ChromaFailed) -> None:
        self.failed(error)
        self._rests_until = time.monotonic() + COOLDOWN_SECONDS
        if error.damage:
            self.suspects.add(project_id)
        log.warning("chroma failed", extra={"project_id": project_id, "kind": str(error)})

    def _open(self) -> "Chroma":
        from server.index.chroma.client import open_embedded, open_served  # noqa: PLC0415 - a second that small users are spared

        if self.are_served:
            place = self._settings.public_url + self._settings.database_url.get_secret_value()
            return open_served(
                self._settings.chroma_url, f"memories-{hashlib.sha256(place.encode()).hexdigest()[:12]}-"
            )
        return open_embedded(self._settings.data_dir / "chroma")
