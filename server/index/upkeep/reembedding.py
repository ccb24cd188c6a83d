"""Embeds memories again whose vectors come from another model, in small steps. The database records what is left, so an
interrupted run continues where it stopped.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col

from server.index import outbox
from server.index.model.failures import ModelAway, ModelFailed, TextRefused
from server.index.pieces import lead_from
from server.index.types import Embedded
from server.index.upkeep.due import memories_of_other_models, other_models
from server.index.upkeep.progress import Progress
from server.models import Memory, Project, metadata
from server.models.projects import deleted_projects
from server.storage import chunks
from server.storage.database import Database
from server.storage.statements import count_rows

log = logging.getLogger(__name__)

EMBED_BATCH = 16
"""How many memories to embed at a time."""

WRITE_EVERY_SECONDS = 5.0
"""Vectors are written this often and not more often, because the next search of the project must read them."""

GATHERED_PIECES = 2_000
"""How many pieces' vectors to keep in memory until they are written."""

WRITTEN_PIECES = 200
"""How many pieces to write in one transaction, unless a single memory has more."""

MOST_FAILING = 10_000
"""If the model fails on more texts than this, the problem is the model and not the texts."""

WORK = "embedding memories"

PROBE = ("Does the model work?", "")

_memories = metadata.tables["memories"]
_models = _memories.c.embedding_model

T = TypeVar("T")
NewVectors = tuple[int, int, Embedded]
"""A memory's number, its revision when it was read, and its new vectors."""

Embed = Callable[[Sequence[tuple[str, str]]], list[Embedded]]


class Reembedding:
    """The memories of `mine` that are still to be embedded with the model named `model`, without those of deleted
    projects.

    A text on which the model fails is skipped from then on, so that it does not block the others. Searches find it by
    its words, and a restart tries it again.
    """

    def __init__(
        self, database: Database, embed: Embed, model: str, failing: set[int], mine: sa.ColumnElement[bool]
    ) -> None:
        self._database = database
        self._embed = embed
        self._model = model
        self._failing = failing
        self._mine = mine
        self._is_wanted = sa.and_(mine, _memories.c.project_id.not_in(deleted_projects()))
        self._gathered: list[NewVectors] = []

    def is_needed(self) -> bool:
        some = sa.select(_memories.c.number).where(memories_of_other_models(self._model), self._is_wanted)
        return any(number not in self._failing for number in self._read(some.limit(len(self._failing) + 1)))

    def run(self) -> Iterator[Progress]:
        """Raises ModelAway, and ModelFailed if the model does not work at all."""
        failed_before = len(self._failing)
        try:
            yield from self._steps()
        except (ModelAway, ModelFailed):
            self._write_all()  # an endpoint that often refuses for a while would otherwise make no progress
            raise
        self._write_all()
        if count := len(self._failing) - failed_before:
            log.warning(
                "the embedding model fails on some texts; searches find them only by their words",
                extra={"memories": count},
            )

    def _steps(self) -> Iterator[Progress]:
        whole, left = self._count()
        written_at = time.monotonic()
        for numbers in self._chunks():
            self._embed_again([number for number in numbers if number not in self._failing])
            pieces = sum(len(found.spans) for _, _, found in self._gathered)
            if pieces > GATHERED_PIECES or time.monotonic() > written_at + WRITE_EVERY_SECONDS:
                self._write_all()
                written_at = time.monotonic()
            left = max(left - len(numbers), 0)
            yield Progress(WORK, whole - left, whole)

    def _count(self) -> tuple[int, int]:
        """Return how many memories there are, and how many are to be embedded. Counts those of deleted projects too,
        since an index alone tells their number.
        """
        outdated = sa.and_(memories_of_other_models(self._model), self._mine)
        with self._database.read() as session:
            left = count_rows(session, _memories, outdated)
            return max(session.scalar(sa.select(sa.func.sum(col(Project.memory_count)))) or 0, left), left

    def _chunks(self) -> Iterator[Sequence[int]]:
        """Yield the numbers of the memories without vectors, then of those with vectors of each other model, newest
        first.

        Memories that were added without vectors in the meantime come next. Each query reads an index from where the
        last one ended, so nothing is read twice.
        """
        top = next(iter(self._read(sa.select(sa.func.max(_memories.c.number)))), None) or 0
        with self._database.read() as session:
            models = other_models(session, self._model)
        for model in models:
            below = top + 1
            while numbers := self._added_after(top) or self._next_of(model, below):
                top, below = max(top, numbers[-1]), min(below, numbers[-1])
                yield numbers

    def _added_after(self, number: int) -> Sequence[int]:
        added = sa.select(_memories.c.number).where(_models == "", _memories.c.number > number, self._is_wanted)
        return self._read(added.order_by(_memories.c.number).limit(EMBED_BATCH))

    def _next_of(self, model: str, below: int) -> Sequence[int]:
        of_model = sa.select(_memories.c.number).where(_models == model, _memories.c.number < below, self._is_wanted)
        return self._read(of_model.order_by(_memories.c.number.desc()).limit(EMBED_BATCH))

    def _embed_again(self, numbers: Sequence[int]) -> None:
        with self._database.read() as session:
            memories = {memory.number: memory for memory in session.scalars(_with_numbers(numbers))}
        embedded = self._embedded(memories)
        self._gathered += [(number, memories[number].revision, found) for number, found in embedded.items()]

    def _write_all(self) -> None:
        """Write the gathered vectors, a few pieces per transaction."""
        while self._gathered:
            part = chunks.first_of(self._gathered, lambda new: len(new[2].spans), WRITTEN_PIECES)
            del self._gathered[: len(part)]
            with self._database.write() as session:
                _replace_vectors(session, part)

    def _embedded(self, memories: dict[int, Memory]) -> dict[int, Embedded]:
        """Return the vectors by number, without the memories on which the model fails."""
        texts = {
            number: (memory.content, lead_from(memory.content, memory.details)) for number, memory in memories.items()
        }
        try:
            return dict(zip(texts, self._embed(list(texts.values())), strict=True))
        except (ModelFailed, TextRefused):
            self._embed([PROBE])  # if the model fails on this too, the texts are not the problem
            return {number: found for number, text in texts.items() for found in self._embedded_alone(number, text)}

    def _embedded_alone(self, number: int, text: tuple[str, str]) -> list[Embedded]:
        try:
            return self._embed([text])
        except (ModelFailed, TextRefused):
            if len(self._failing) >= MOST_FAILING:
                raise
            self._failing.add(number)
            return []

    def _read(self, query: sa.Select[T]) -> Sequence[T]:
        with self._database.read() as session:
            return session.scalars(query).all()


def _with_numbers(numbers: Sequence[int]) -> sa.Select[Memory]:
    return sa.select(Memory).where(col(Memory.number).in_(numbers))


def _replace_vectors(session: Session, new: Sequence[NewVectors]) -> None:
    """Write the new vectors, skipping memories changed since they were read. Locks the rows first."""
    read = {number: (revision, embedded) for number, revision, embedded in new}
    by_project: dict[str, list[Memory]] = {}
    for memory in session.scalars(chunks.locked(_with_numbers(list(read)))):
        if memory.revision == read[memory.number][0]:
            by_project.setdefault(memory.project_id, []).append(memory)
    for project_id, memories in sorted(by_project.items()):
        outbox.memories_embedded(session, project_id, memories, [read[memory.number][1] for memory in memories])
