"""A question with its vector, on the way from the model to the search, and the memories to compare with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.index.chroma.collections import Collection
from server.index.earlier import EarlierVector
from server.index.types import Numbers, Vector


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its vector, and in a large project the collection to ask.

    `vector` is None while the model is away, or if it knows no word of the question: then the search uses only words.
    """

    vector: Vector | None
    collection: Collection | None = None
    earlier: EarlierVector | None = None
    """Its vector from the earlier model, as long as memories have such vectors."""

    is_misread: bool = False
    """True if the model does not support the question's script. To such a model, all texts in it are similar."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The memories to compare with a question: the `allowed` ones (None: all of the project).

    Of a large project, some may be left out, but not those in `also`, and hardly any of the `wanted` most similar ones.
    """

    allowed: Sequence[int] | None
    also: Numbers
    wanted: int
