"""The types that the packages of the index share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
"""One embedding, shape (dimensions,)."""

Vectors: TypeAlias = NDArray[np.float32]
"""Embeddings, shape (count, dimensions)."""

Numbers: TypeAlias = NDArray[np.int64]
"""Memory numbers, ascending."""


class Places(NamedTuple):
    """The places of some memories in their conversations (see `words.conversations`), and the lengths of their texts
    in multiples of the project's mean. `numbers` are ascending.
    """

    numbers: Numbers
    places: NDArray[np.int64]
    lengths: NDArray[np.float32]


NO_PLACES = Places(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class Space(Protocol):
    """The space that vectors belong to, for example an Embedder's. Never compare vectors of different names."""

    @property
    def name(self) -> str:
        """The model and its precision, e.g. "all-MiniLM-L6-v2/int8"; "" until the model is first loaded."""

    @property
    def dimensions(self) -> int:
        """The length of a vector; 0 as long as `name` is empty."""

    @property
    def mean(self) -> Vector:
        """The mean of the model's vectors, which is what texts that have nothing in common share. Empty as long as
        `name` is empty.
        """


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's pieces with their vectors.

    Each span is (start, end) with piece = `content[start:end]`; `vectors` is float32 (pieces, dimensions), unit length.
    `terms` are the terms that the word index stores for the text. If None, it takes them from the text; if empty, they
    are written later.
    """

    model: str
    spans: tuple[tuple[int, int], ...]
    vectors: Vectors
    terms: Sequence[str] | None = None


UNEMBEDDED = Embedded("", (), np.empty((0, 0), np.float32))
"""The result for a text that the model could not embed yet. The index's worker embeds it later."""
