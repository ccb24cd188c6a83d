"""A question and its vector, on the way from the model to the search."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from server.index.chroma.collections import Collection
from server.index.types import Vector


class QuestionVector(NamedTuple):
    """A question's vector and the memories near it.

    `vector` is None while the model is away. `near` is None if no memories were wanted or SQL must be scanned.
    """

    vector: Vector | None
    near: set[int] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is being embedded. `collection` is the large project's collection."""

    collection: Collection | None
    wanted: int | None
    result: Future[QuestionVector]
    earlier: Future[Vector | None] | None = None
    """Its vector from the earlier model, as long as memories have such vectors."""

    @staticmethod
    def of(vector: Vector | None, wanted: int | None) -> "Question":
        """Return a question with its vector, for a scan. Without a vector, the search uses only its words."""
        result: Future[QuestionVector] = Future()
        result.set_result(QuestionVector(vector, None))
        return Question(None, wanted, result)
