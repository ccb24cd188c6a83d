"""The index as operations see it: texts become vectors, a question becomes the memories that are similar to it."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sqlmodel import Session

from server.database import Database
from server.index.chroma.collections import Collection, Collections
from server.index.exact.matrix import Centre, Numbers, Scan, SimilarMemories
from server.index.exact.matrix_cache import MatrixCache
from server.index.model.embeddings import Embedder, EmbedderClosed
from server.index.outbox import Embedded, Vectors
from server.index.pieces import pieces_of
from server.index.upkeep import rebuild
from server.index.upkeep.rebuild import Progress
from server.index.upkeep.worker import Worker
from server.models import Project
from server.settings import Settings

QUESTION_THREADS = 4
"""Questions of large projects that are embedded at once."""

MAX_PIECES_PER_MEMORY = 3
"""The most pieces that Chroma is asked for, for each memory that is wanted."""

MAX_CHROMA_MEMORIES = 2_000
"""More memories than that are sought by reading all."""

REPORT_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Health:
    """`mode` is exact or chroma; `degraded` says why searches are slower than they should be."""

    mode: str
    degraded: str | None
    embedding_ok: bool


class QuestionVector(NamedTuple):
    """A question's vector, and the memories near it; None when SQL is to be scanned, or nobody wanted them."""

    vector: Vectors
    near: set[int] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question in the making, of a project with or without a collection."""

    collection: Collection | None
    wanted: int | None
    asked: Future[QuestionVector]


class MemoryIndex:
    """Vectors of one model over one database. `start` before use, `close` after it; safe for threads."""

    def __init__(self, settings: Settings, database: Database, embedder: Embedder) -> None:
        self._settings, self._database, self._embedder = settings, database, embedder
        self._scans = MatrixCache(embedder.name, embedder.dimensions)
        self._nowhere = Centre(np.zeros(embedder.dimensions, np.float32))
        self._collections = Collections(settings, embedder.name)
        self._owner = Worker(settings, database, self._collections, self._scans, self.embedded, embedder.name)
        self._questions = ThreadPoolExecutor(QUESTION_THREADS, "question")

    def start(self) -> None:
        """Begin to follow the changes, when no other process does."""
        self._owner.start()

    def close(self) -> None:
        self._owner.stop()
        self._questions.shutdown()
        self._collections.close()
        self._embedder.close()

    def wake(self) -> None:
        """A change was committed; cheap."""
        self._owner.wake()

    def embedded(self, texts: Sequence[tuple[str, str]]) -> list[Embedded]:
        """The pieces and vectors of each (text, lead). Blocks while the model works: hold no transaction."""
        pieces = [pieces_of(content, lead) for content, lead in texts]
        flat = [piece.text for own in pieces for piece in own]
        vectors = self._embedder.embed(flat) if flat else np.empty((0, self._embedder.dimensions), np.float32)
        parts = np.split(vectors, np.cumsum([len(own) for own in pieces])[:-1])
        return [
            Embedded(self._embedder.name, tuple((piece.start, piece.end) for piece in own), part)
            for own, part in zip(pieces, parts, strict=True)
        ]

    def question(self, session: Session, project: Project, text: str, wanted: int | None) -> Question:
        """The vector of a question; in a large project also the `wanted` memories near it (None: they are not needed).

        There it is in the making while the words are looked for.
        """
        collection = self._collection(session, project)
        if collection is None:
            made: Future[QuestionVector] = Future()
            made.set_result(QuestionVector(self._vector(text), None))
            return Question(None, wanted, made)
        return Question(collection, wanted, self._questions.submit(self._asked, project, collection, text, wanted))

    def _asked(self, project: Project, collection: Collection, text: str, wanted: int | None) -> QuestionVector:
        vector = self._vector(text)
        if wanted is None:
            return QuestionVector(vector, None)
        with self._database.read() as session:
            return QuestionVector(vector, self._nearest(session, project, collection, vector, wanted))

    def _vector(self, text: str) -> Vectors:
        vector: Vectors = self._embedder.embed([text], urgent=True)[0]
        return vector

    def similar(
        self,
        session: Session,
        project: Project,
        question: Question,
        allowed: Sequence[int] | None,
        also: Numbers,
        wanted: int,
    ) -> SimilarMemories:
        """How similar the project's memories (or the allowed ones) are to the question.

        Of a large project: at least about the `wanted` most similar ones and those in `also`, `complete` or not.
        """
        near = question.collection and self._near(session, project, question, allowed, also, wanted)
        if near:
            self._scans.release(project.id)
            return near
        vector = question.asked.result().vector
        if self._scans.fits(project.piece_count):
            found = self._scans.of_project(session, project).similar(vector)
            return found if allowed is None else found.among(allowed)
        centre = question.collection.centre if question.collection else self._nowhere
        if allowed is None:
            return self._streamed(session, project, vector, centre, also, wanted)
        return self._scans.of_memories(session, allowed, centre).similar(vector)

    def _collection(self, session: Session, project: Project) -> Collection | None:
        if project.piece_count <= self._settings.exact_scan_limit:
            return None
        collection = self._collections.of_project(session, project.id)
        if collection is None:
            self._owner.look()
        return collection

    def _near(
        self,
        session: Session,
        project: Project,
        question: Question,
        allowed: Sequence[int] | None,
        also: Numbers,
        wanted: int,
    ) -> SimilarMemories | None:
        """With the help of the project's collection; None when it is of none."""
        assert question.collection is not None  # noqa: S101 - only then there is help
        vector, near = question.asked.result()
        centre = question.collection.centre
        if allowed is not None:
            return self._scans.of_memories(session, allowed, centre).similar(vector)
        if wanted != question.wanted:
            near = self._nearest(session, project, question.collection, vector, wanted)
        if near is None:
            return None
        scan = self._scans.of_memories(session, sorted(near.union(also.tolist())), centre)
        return scan.similar(vector, complete=len(scan.matrix.numbers) >= project.memory_count)

    def _nearest(
        self, session: Session, project: Project, collection: Collection, vector: Vectors, wanted: int
    ) -> set[int] | None:
        if wanted > MAX_CHROMA_MEMORIES:
            return None
        pieces = min(math.ceil(project.piece_count / max(project.memory_count, 1)), MAX_PIECES_PER_MEMORY)
        return self._collections.nearest(session, project.id, collection, vector, wanted, pieces)

    def _streamed(
        self, session: Session, project: Project, question: Vectors, centre: Centre, also: Numbers, wanted: int
    ) -> SimilarMemories:
        """Read all of the project, keep the best."""
        best: list[tuple[float, int]] = []
        for matrix in self._scans.in_parts(session, project.id):
            part = Scan.of(matrix, centre).similar(question)
            best += zip(part.similarities.tolist(), part.numbers.tolist(), strict=True)
            best = sorted(best, reverse=True)[:wanted]
        chosen = sorted({*(number for _, number in best), *also.tolist()})
        return self._scans.of_memories(session, chosen, centre).similar(question, complete=len(best) < wanted)

    def reindex(self, report: Callable[[Progress], None]) -> None:
        """Write words and collections anew from SQL; a running server that owns the index builds the collections."""
        for progress in rebuild.rewrite_words(self._database):
            report(progress)
        rebuild.forget_collections(self._database)
        self._owner.look()
        whole = missing = self._owner.missing()
        while missing and self._owner.is_alive():
            report(self._owner.progress or Progress("building collections", whole - missing, whole))
            time.sleep(REPORT_EVERY_SECONDS)
            missing = self._owner.missing()

    @property
    def work(self) -> str | None:
        """What is done in the background, and how far it is."""
        return str(self._owner.progress) if self._owner.progress else None

    def health(self) -> Health:
        """Asks the model for one vector, and Chroma for nothing: what its last use came to is known."""
        try:
            self._embedder.embed(["health"], urgent=True)
        except EmbedderClosed:
            embedding_ok = False
        else:
            embedding_ok = True
        degraded = self._collections.failure or (None if self._owner.is_alive() else "The index's owner has stopped.")
        return Health(
            mode="chroma" if self._collections.is_open else "exact",
            degraded=degraded,
            embedding_ok=embedding_ok,
        )
