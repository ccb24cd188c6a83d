"""The model before the current one. Its vectors are used for memories that the current model has not embedded yet."""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa
from sqlmodel import Session

from server.index.exact.matrix import SimilarMemories
from server.index.exact.matrix_cache import MatrixCache
from server.index.model.embeddings import Embedder, open_packaged
from server.index.model.failures import EmbedderClosed, ModelAway, ModelFailed
from server.index.types import Space, Vector
from server.index.upkeep.due import other_models
from server.models import Project
from server.settings import Settings
from server.storage.database import Database
from server.storage.database_failures import why

log = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 5.0
"""How often a search triggers a check for vectors of an earlier model."""

THREADS = 3
"""Two for questions, and one for the check."""


@dataclass(frozen=True, slots=True)
class _Opened:
    embedder: Embedder
    matrices: MatrixCache


EarlierVector: TypeAlias = Future[tuple[MatrixCache, Vector] | None]
"""The vector of a question, with the matrices of the model that embedded it. None if that model has been closed."""


class EarlierModel:
    """Is open while some memories have vectors of an earlier model that comes in a package. Thread-safe."""

    def __init__(self, settings: Settings, database: Database, current: Space) -> None:
        self._data_dir = settings.data_dir
        self._configured = "" if settings.embedding_url else f"{settings.embedding_model}/"
        self._database = database
        self._current = current
        self._opened: _Opened | None = None
        self._looking = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, "earlier-model")
        self._look_at = 0.0

    def ask(self, text: str) -> EarlierVector | None:
        """Embed a question in a thread, in parallel with the search's other work. Return None if no earlier model is
        open, or no thread can start. Sometimes also check whether there is one.
        """
        opened = self._opened
        with contextlib.suppress(RuntimeError):
            if time.monotonic() >= self._look_at and not self._looking.locked():
                self._threads.submit(self.look)
            return self._threads.submit(_embed, opened, text) if opened else None
        return None

    def look(self) -> None:
        """Open the earlier model if it has vectors, and close it if it has none left. Opening takes a second."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            with self._database.read() as session:
                names = other_models(session, self._current.name)
            # The configured model is loaded elsewhere, if it is not yet the current one.
            self._use([name for name in names if not self._configured or not name.startswith(self._configured)])
        except sa.exc.SQLAlchemyError as error:
            log.debug("cannot read from the database which models the vectors come from", extra={"reason": why(error)})
        except Exception:  # nobody reads the future
            log.exception("the earlier model cannot be opened")
        finally:
            self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
            self._looking.release()

    def close(self) -> None:
        self._threads.shutdown()  # first, because one of them may open a model
        self._use([])

    def _use(self, names: Sequence[str]) -> None:
        opened = self._opened
        if opened is not None and opened.embedder.name not in names:
            self._opened = None
            opened.embedder.close()
        if self._opened is None:
            embedder = next((found for name in names if (found := open_packaged(name, self._data_dir))), None)
            if embedder is not None:
                self._opened = _Opened(embedder, MatrixCache(embedder))
                log.info("searches use the vectors of an earlier model", extra={"model": embedder.name})


def add_similar(
    similar: SimilarMemories,
    session: Session,
    project: Project,
    question: EarlierVector | None,
    allowed: Sequence[int] | None,
) -> SimilarMemories:
    """Add the memories with earlier vectors to the similar ones, unless they are too many to scan."""
    answer = question.result() if question else None
    if answer is None:
        return similar
    matrices, vector = answer
    if not matrices.fits(project.piece_count):
        return similar
    scan = matrices.scan_project(session, project)
    return similar.with_others(scan.compare(vector) if allowed is None else scan.compare_only(vector, allowed))


def _embed(opened: _Opened, text: str) -> tuple[MatrixCache, Vector] | None:
    with contextlib.suppress(EmbedderClosed, ModelAway, ModelFailed):
        vector: Vector = opened.embedder.embed([text], is_question=True)[0]
        return opened.matrices, vector
    return None
