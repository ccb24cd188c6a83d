"""The index of one call. Its threads never wait for the model.

An operation requests vectors as it would from `MemoryIndex`. If the model is busy, `VectorsMissing` ends the attempt
before anything is written. The call then awaits the vectors without a thread, and runs the operation again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from sqlmodel import Session

from server.index.exact.matrix import SimilarMemories
from server.index.memory_index import MemoryIndex
from server.index.model.failures import ModelAway
from server.index.pieces import Piece, pieces_of
from server.index.question import Candidates, Question
from server.index.types import UNEMBEDDED, Embedded, Places, Vector, Vectors
from server.models import Project
from server.spans import span

SUBMITTED_PIECES = 64
"""Maximum number of one call's pieces in the model's queue."""

SHORT_LENGTH = 600
"""Up to this many characters, a text is cut into pieces on the event loop, in a fraction of a millisecond."""


class VectorsMissing(Exception):
    """The operation needs vectors first. Await `learn`, then run it again."""

    def __init__(self, learn: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.learn = learn


class PreparedIndex:
    """The index with the vectors that one call has learned. Create one for each call."""

    def __init__(self, index: MemoryIndex, caller: str) -> None:
        self._index = index
        self._caller = caller
        self._texts: dict[tuple[str, str], Embedded] = {}
        self._questions: dict[str, Vector | None] = {}

    def ready(self, texts: Sequence[tuple[str, str]]) -> list[Embedded] | None:
        """Return the pieces and vectors of each (text, lead) if nothing has to wait for the model, else None."""
        if all(text in self._texts for text in texts):
            return [self._texts[text] for text in texts]
        return None

    def embed(self, texts: Sequence[tuple[str, str]]) -> list[Embedded]:
        """Like `MemoryIndex.embed`, but only for one piece and an idle model. Otherwise raises VectorsMissing."""
        self._index.embedder.expect(self._caller)
        if len(texts) == 1 and len(texts[0][0]) <= SHORT_LENGTH and self._index.embedder.is_idle():
            pieces = pieces_of(*texts[0])
            if len(pieces) <= 1:
                with span("model"):
                    self._texts[texts[0]] = self._index.embed_pieces([pieces])[0]
                return [self._texts[texts[0]]]
        raise VectorsMissing(lambda: self._learn_texts(texts))

    def embed_question(self, session: Session, project: Project, text: str) -> Question:
        """Like `MemoryIndex.embed_question`, for a known question or an idle model. Otherwise raises VectorsMissing."""
        if text in self._questions:
            return self._index.question_with(session, project, text, self._questions[text])
        known = self._index.question_cache.get(project.id, text)
        if known is not None:
            return self._index.question_with(session, project, text, known)
        self._index.embedder.expect(self._caller)
        if self._index.embedder.is_idle():
            return self._index.embed_question(session, project, text)
        project_id = project.id  # by the time the vector arrives, the session has ended
        raise VectorsMissing(lambda: self._learn_question(project_id, text))

    def question_of(self, session: Session, project: Project, model: str, vector: Vector) -> Question:
        return self._index.question_of(session, project, model, vector)

    def places(self, session: Session, project: Project, question: Question) -> Places:
        return self._index.places(session, project, question)

    def find_similar(
        self, session: Session, project: Project, question: Question, candidates: Candidates
    ) -> SimilarMemories:
        return self._index.find_similar(session, project, question, candidates)

    async def _learn_texts(self, texts: Sequence[tuple[str, str]]) -> None:
        """Cut and embed a few texts at a time. Cutting a large batch in one step would block other threads."""
        pieces: dict[tuple[str, str], list[Piece]] = {}
        for text in dict.fromkeys(texts):
            is_short = len(text[0]) <= SHORT_LENGTH
            pieces[text] = pieces_of(*text) if is_short else await asyncio.to_thread(pieces_of, *text)
            if sum(map(len, pieces.values())) >= SUBMITTED_PIECES:
                await self._learn_pieces(pieces)
                pieces = {}
        if pieces:
            await self._learn_pieces(pieces)

    async def _learn_pieces(self, pieces: dict[tuple[str, str], list[Piece]]) -> None:
        try:
            self._texts |= zip(pieces, await self._embed(list(pieces.values())), strict=True)
        except ModelAway:
            self._texts |= dict.fromkeys(pieces, UNEMBEDDED)

    async def _embed(self, pieces: Sequence[Sequence[Piece]]) -> list[Embedded]:
        flat = [piece.text for group in pieces for piece in group]
        vectors = np.empty((len(flat), self._index.embedder.dimensions), np.float32)
        for start in range(0, len(flat), SUBMITTED_PIECES):
            self._index.embedder.expect(self._caller)
            end = start + SUBMITTED_PIECES
            with span("model"):
                part: Vectors = await asyncio.wrap_future(self._index.embedder.submit(flat[start:end]))
            vectors[start:end] = part
        return self._index.assemble(pieces, vectors)

    async def _learn_question(self, project_id: str, text: str) -> None:
        try:
            with span("model"):
                vector: Vector = (await asyncio.wrap_future(self._index.embedder.submit([text], is_question=True)))[0]
        except ModelAway:
            self._questions[text] = None
            return
        self._questions[text] = vector
        self._index.question_cache.put(project_id, text, vector)
