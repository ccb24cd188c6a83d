"""The index as operations see it: turns texts into vectors, and finds the memories similar to a question."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from sqlmodel import Session

from server.index.chroma.collections import Collection, Collections
from server.index.earlier import EarlierModel, add_similar
from server.index.exact.matrix import NOTHING_SIMILAR, SimilarMemories
from server.index.exact.matrix_cache import MatrixCache, cache_bytes_of, exact_limit
from server.index.model import languages
from server.index.model.embeddings import Embedder
from server.index.model.failures import EmbedderClosed, ModelAway
from server.index.model.question_cache import QuestionCache
from server.index.pace import Pace
from server.index.pieces import Piece, pieces_of
from server.index.question import Candidates, Question
from server.index.types import NO_PLACES, UNEMBEDDED, Embedded, Places, Vector, Vectors
from server.index.upkeep import rebuild, rewriting
from server.index.upkeep.progress import Progress
from server.index.upkeep.worker import Worker
from server.models import Project
from server.settings import Settings
from server.spans import span
from server.storage.database import Database

MAX_PIECES_PER_MEMORY = 3
"""How many pieces to request from Chroma for each wanted memory, at most."""

MAX_CHROMA_MEMORIES = 2_000
"""If a search wants more memories than this, it scans the project."""

REPORT_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Health:
    """`degraded` is the reason why searches are slow, or None."""

    degraded: str | None
    embedding_ok: bool


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the index does in this process, from memory alone. `progress` is the progress of its background work.
    `shards` is how many of the `leases.SHARDS` parts it owns.
    """

    has_model: bool
    waiting_texts: int
    waiting_questions: int
    shards: int
    progress: Progress | None


class MemoryIndex:
    """The index of one database with one model. Call `start` before use and `close` after it. Thread-safe."""

    def __init__(self, settings: Settings, database: Database, embedder: Embedder) -> None:
        self._settings = settings
        self._database = database
        self.embedder = embedder
        self._matrices = MatrixCache(embedder, cache_bytes_of(settings.workers))
        self._pace = Pace(embedder, is_local=not settings.embedding_url)
        self.question_cache = QuestionCache()
        self._earlier = EarlierModel(settings, database, embedder)
        self._collections = Collections(settings, database, embedder)
        self._worker = Worker(settings, database, self._collections, self._matrices, self._embed_now, embedder)
        self.missing: str | None = None
        """Why the model was missing at the last `health`; None if it was ready."""

    def start(self) -> None:
        """Open the earlier model if it is needed, so that the first search has it. Then start the worker, which keeps
        the index up to date unless another process does.
        """
        self._earlier.look()
        self._worker.start()

    def close(self) -> None:
        self.embedder.close()  # first, so that the threads that wait for it end
        self._earlier.close()
        self._worker.stop()

    def wake(self) -> None:
        """Tell the worker that a change was committed. Cheap."""
        self._worker.wake()

    def embed(self, texts: Sequence[tuple[str, str]]) -> list[Embedded]:
        """Return the pieces and vectors of each (text, lead). Blocks on the model: call it outside transactions.

        While the model is away, return `UNEMBEDDED` for each. The worker embeds these memories later.
        """
        return self.embed_pieces([pieces_of(content, lead) for content, lead in texts])

    def embed_pieces(self, pieces: Sequence[Sequence[Piece]]) -> list[Embedded]:
        """Like `embed`, for the pieces of each text."""
        flat = [piece.text for group in pieces for piece in group]
        try:
            vectors = self.embedder.embed(flat) if flat else np.empty((0, self.embedder.dimensions), np.float32)
        except ModelAway:
            return [UNEMBEDDED] * len(pieces)
        return self.assemble(pieces, vectors)

    def _embed_now(self, texts: Sequence[tuple[str, str]]) -> list[Embedded]:
        """Like `embed`, for the worker. Raises ModelAway, and the exceptions that end the worker's step."""
        pieces = [pieces_of(content, lead) for content, lead in texts]
        flat = [piece.text for group in pieces for piece in group]
        return self.assemble(pieces, self._pace.embed(flat, self._worker.keep))

    def ready(self, _texts: Sequence[tuple[str, str]]) -> list[Embedded] | None:
        """Return None, because only a `PreparedIndex` can have vectors ready."""
        return None

    def assemble(self, pieces: Sequence[Sequence[Piece]], vectors: Vectors) -> list[Embedded]:
        """Return each text's pieces with their vectors, given the vectors of all pieces in order."""
        edges = pairwise(accumulate(map(len, pieces), initial=0))
        return [
            Embedded(self.embedder.name, tuple((piece.start, piece.end) for piece in group), vectors[start:end])
            for group, (start, end) in zip(pieces, edges, strict=True)
        ]

    def embed_question(self, session: Session, project: Project, text: str) -> Question:
        return self.question_with(session, project, text, self._vector(project.id, text))

    def question_with(self, session: Session, project: Project, text: str, vector: Vector | None) -> Question:
        """Like `embed_question`, with the vector that is already known; None if the model has none for this text."""
        self._pace.note_search()
        is_misread = languages.misreads(self._settings.embedding_model, text)
        return Question(vector, self._collection(session, project), self._earlier.ask(text), is_misread)

    def question_of(self, session: Session, project: Project, model: str, vector: Vector) -> Question:
        """Return a stored vector as a question. A vector of another model finds nothing."""
        return Question(vector if model == self.embedder.name else None, self._collection(session, project))

    def places(self, session: Session, project: Project, question: Question) -> Places:
        """Return the places of all memories of a project, if it is scanned exactly."""
        if question.vector is None or question.collection or not self._matrices.fits(project.piece_count):
            return NO_PLACES
        return self._matrices.scan_project(session, project).places

    def find_similar(
        self, session: Session, project: Project, question: Question, candidates: Candidates
    ) -> SimilarMemories:
        """Return the similarity of the candidates to the question. `SimilarMemories.complete` says whether some are
        left out.
        """
        similar = self._find_similar(session, project, question, candidates)
        return add_similar(similar, session, project, question.earlier, candidates.allowed)

    def _find_similar(
        self, session: Session, project: Project, question: Question, candidates: Candidates
    ) -> SimilarMemories:
        vector, collection, allowed = question.vector, question.collection, candidates.allowed
        if vector is None:
            return NOTHING_SIMILAR
        near = collection and self._find_with_collection(session, project, collection, vector, candidates)
        if near:
            self._matrices.forget(project.id)
            return near
        if self._matrices.fits(project.piece_count):
            scan = self._matrices.scan_project(session, project)
            return scan.compare(vector) if allowed is None else scan.compare_only(vector, allowed)
        mean = collection.mean if collection else self._matrices.mean
        if allowed is None:
            also, wanted = candidates.also, candidates.wanted
            return self._matrices.scan_in_parts(session, project.id, vector, mean, also, wanted)
        return self._matrices.scan_memories(session, allowed, mean).compare(vector)

    def reindex(self, report: Callable[[Progress], None]) -> None:
        """Rebuild the words and mark all collections for rebuilding, then report until they are built.

        If a running server owns the index, that server builds the collections.
        """
        rebuild.recount(self._database)
        for progress in rewriting.rewrite_all(self._database):
            report(progress)
        rebuild.forget_collections(self._database)
        self._worker.check_soon()
        total = missing = self._worker.count_missing()
        while missing and self._worker.is_alive():
            report(self._worker.progress or Progress("building collections", total - missing, total))
            time.sleep(REPORT_EVERY_SECONDS)
            missing = self._worker.count_missing()

    @property
    def work(self) -> str | None:
        return str(self._worker.progress) if self._worker.progress else None

    def state(self) -> IndexState:
        texts, questions = self.embedder.waiting
        has_model = bool(self.embedder.name) and self.missing is None
        return IndexState(has_model, texts, questions, self._worker.shards, self._worker.progress)

    def health(self) -> Health:
        """Check the model by embedding a new text, and report how the last use of Chroma went. Raises ModelFailed."""
        embedding_ok, missing = True, None
        try:
            self.embedder.embed([f"health at {time.time_ns()}"], is_question=True)
        except EmbedderClosed:
            embedding_ok = False
        except ModelAway as error:
            missing = error.detail
        finally:
            self.missing = missing
        stopped = None if self._worker.is_alive() else "The index's worker has stopped."
        return Health(degraded=self._collections.failure or stopped, embedding_ok=embedding_ok)

    def _collection(self, session: Session, project: Project) -> Collection | None:
        """Return the collection of a large project. Asks the worker to build a missing one."""
        if project.piece_count <= exact_limit(self._settings.exact_scan_limit, self.embedder):
            return None
        collection = self._collections.find(session, project.id)
        if collection is None:
            self._worker.check_soon()
        return collection

    def _vector(self, project_id: str, text: str) -> Vector | None:
        known = self.question_cache.get(project_id, text)
        if known is not None:
            return known
        try:
            with span("model"):
                vector: Vector = self.embedder.embed([text], is_question=True)[0]
        except ModelAway:
            return None
        self.question_cache.put(project_id, text, vector)
        return vector

    def _find_with_collection(
        self, session: Session, project: Project, collection: Collection, vector: Vector, candidates: Candidates
    ) -> SimilarMemories | None:
        """Return None if the whole project must be scanned."""
        if candidates.allowed is not None:
            return self._matrices.scan_memories(session, candidates.allowed, collection.mean).compare(vector)
        if candidates.wanted > MAX_CHROMA_MEMORIES:
            return None
        pieces = min(math.ceil(project.piece_count / max(project.memory_count, 1)), MAX_PIECES_PER_MEMORY)
        near = self._collections.find_nearest(session, project.id, collection, vector, candidates.wanted, pieces)
        if near is None:
            return None
        scan = self._matrices.scan_memories(session, sorted(near.union(candidates.also.tolist())), collection.mean)
        return scan.compare(vector, complete=len(scan.matrix.numbers) >= project.memory_count)
