"""The pieces of some memories, as they are read from SQL."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.index.types import Numbers, Vectors
from server.storage.statements import Row

Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Layout:
    """Which pieces belong to which memory. Pieces are grouped by memory, numbers ascending."""

    numbers: Numbers
    places: NDArray[np.int64]
    """The place of each memory in its conversation."""

    starts: Positions
    """The row of each memory's first piece."""

    spans: NDArray[np.int32]
    """For each piece: start, end, and whether it is a short question."""

    @property
    def sizes(self) -> Positions:
        """The number of pieces of each memory."""
        return np.diff(self.starts, append=len(self.spans))

    def part(self, positions: Positions) -> "tuple[Layout, Positions]":
        """Return the memories at `positions`, in that order, and the rows of their pieces."""
        sizes = self.sizes[positions]
        starts = np.cumsum(sizes) - sizes
        rows = np.arange(sizes.sum()) + np.repeat(self.starts[positions] - starts, sizes)
        return Layout(self.numbers[positions], self.places[positions], starts, self.spans[rows]), rows


@dataclass(frozen=True, slots=True)
class StoredPieces(Layout):
    """Pieces with their vectors: `blobs` are the bytes of unit vectors, float32 (dimensions)."""

    blobs: Sequence[bytes]
    dimensions: int

    @staticmethod
    def from_rows(rows: Sequence[Row], dimensions: int) -> "StoredPieces":
        """Build the arrays from SQL rows, in any order.

        A row has a memory's number and place, and five columns of one of its pieces: position, start, end, whether it
        is a short question, vector. These five are None if the memory has no pieces.
        """
        columns = tuple(zip(*(row for row in rows if row[6] is not None), strict=True)) or ((),) * 7
        owners, places, positions, starts, ends, are_questions = (np.array(column, np.int64) for column in columns[:6])
        order = np.lexsort((positions, owners))
        numbers, firsts = np.unique(owners[order], return_index=True)
        spans = np.stack([starts, ends, are_questions], axis=1)[order].astype(np.int32)
        blobs = [columns[6][row] for row in order]
        return StoredPieces(numbers, places[order][firsts], firsts, spans, blobs, dimensions)

    @property
    def vectors(self) -> Vectors:
        """All vectors, shape (pieces, dimensions). Each call joins them again."""
        return self._vectors_of(self.blobs)

    def parts(self, size: int) -> Iterator[Vectors]:
        """Yield the vectors in parts of `size`, so that a large project is not in memory twice; at least one part."""
        for start in range(0, len(self.blobs) or 1, size):
            yield self._vectors_of(self.blobs[start : start + size])

    def _vectors_of(self, blobs: Sequence[bytes]) -> Vectors:
        return np.frombuffer(b"".join(blobs), "<f4").reshape(-1, self.dimensions)
