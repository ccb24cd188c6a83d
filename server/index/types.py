"""The types that the packages of the index share."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
"""One embedding, shape (dimensions,)."""

Vectors: TypeAlias = NDArray[np.float32]
"""Embeddings, shape (count, dimensions)."""

Numbers: TypeAlias = NDArray[np.int64]
"""Memory numbers, ascending."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's pieces with their vectors.

    Each span is (start, end) with piece = `content[start:end]`; `vectors` is float32 (pieces, dimensions), unit length.
    """

    model: str
    spans: tuple[tuple[int, int], ...]
    vectors: Vectors
