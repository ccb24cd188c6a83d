"""Exact scanning: holds the vectors of some memories as one matrix, and computes how similar each memory is to a
question.

`similarity = cos(question - mean, best piece - mean) - length_penalty(pieces)`
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.index.center import inverse_lengths, mean_of, without_mean
from server.index.exact.codes import Codes, dot_products, encode, total_of
from server.index.exact.stored_pieces import Layout, Positions, StoredPieces
from server.index.memory_numbers import positions_of
from server.index.pieces import length_penalty
from server.index.types import Numbers, Places, Vector

QUESTION_FACTOR = 0.5
"""The weight of a short question's similarity. Questions resemble each other more than their answers.

Measured on LoCoMo 1-5 with the whole recipe: see docs/benchmarks.md.
"""

LEAST_MEAN = 100
"""A sentence of this many characters is not long, even if a project's other texts are shorter, as in Chinese."""

ENCODED_AT_ONCE = 10_000
"""How many vectors to encode at a time."""

COMPARABLE = 50
"""With fewer memories than this, we cannot tell which similarities are usual for a model."""


@dataclass(frozen=True, slots=True)
class Matrix(Layout):
    """The pieces of some memories, with their vectors as codes."""

    codes: Codes
    steps: Vector
    total: NDArray[np.float64] = field(repr=False)
    """The sum of the vectors."""

    buffer: Codes = field(repr=False)
    """The array that begins with `codes`. New pieces are written into its free space, so that nothing is copied."""

    @staticmethod
    def of(pieces: StoredPieces) -> "Matrix":
        parts = [encode(part) for part in pieces.parts(ENCODED_AT_ONCE)]
        encoded, steps = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        total = total_of(encoded, steps)
        return Matrix(pieces.numbers, pieces.places, pieces.starts, pieces.spans, encoded, steps, total, encoded)

    def mean(self, prior: Vector) -> Vector:
        """Return the mean of the vectors. `prior` is the mean of the model's vectors."""
        return mean_of(self.total, len(self.codes), prior)

    def with_changes(self, new: "Matrix", removed: Numbers) -> "Matrix":
        """Return the matrix without `removed` and with `new`. If this matrix already has a memory of `new`, put it in
        `removed` too.

        `self` does not change, but the new matrix uses the free space of its buffer if `new` fits.
        """
        both = self._append(new)
        stays = np.ones(len(both.numbers), np.bool_)
        stays[: len(self.numbers)] = ~np.isin(self.numbers, removed)
        is_last = not len(self.numbers) or not len(new.numbers) or new.numbers[0] > self.numbers[-1]
        if stays.all() and is_last:
            return both
        kept = np.flatnonzero(stays)
        return both.take(kept[np.argsort(both.numbers[kept], kind="stable")])

    def take(self, positions: Positions) -> "Matrix":
        """Copy the memories at `positions`, in that order."""
        part, rows = self.part(positions)
        others = np.delete(np.arange(len(self.codes)), rows)
        encoded = self.codes[rows]
        return Matrix(
            part.numbers,
            part.places,
            part.starts,
            part.spans,
            encoded,
            self.steps[rows],
            self.total - total_of(self.codes[others], self.steps[others]),
            encoded,
        )

    def _append(self, new: "Matrix") -> "Matrix":
        if not len(self.codes) or not len(new.codes):
            return self if len(self.codes) else new
        end = len(self.codes) + len(new.codes)
        buffer = self.buffer
        if end > len(buffer):
            buffer = np.empty((end + end // 4 + 16, self.codes.shape[1]), np.int8)
            buffer[: len(self.codes)] = self.codes
        buffer[len(self.codes) : end] = new.codes
        return Matrix(
            np.concatenate([self.numbers, new.numbers]),
            np.concatenate([self.places, new.places]),
            np.concatenate([self.starts, new.starts + len(self.codes)]),
            np.concatenate([self.spans, new.spans]),
            buffer[:end],
            np.concatenate([self.steps, new.steps]),
            self.total + new.total,
            buffer,
        )


@dataclass(frozen=True, slots=True)
class Scan:
    """A matrix with precomputed values that do not depend on the question."""

    matrix: Matrix
    mean: Vector
    scales: Vector
    """For each piece: 1 / |vector - mean|, times QUESTION_FACTOR for a short question."""

    penalties: Vector
    """For each memory: the length penalty."""

    places: Places
    """The places of the memories in their conversations, and their lengths."""

    @staticmethod
    def of(matrix: Matrix, mean: Vector) -> "Scan":
        sizes, inverse = np.unique(matrix.sizes, return_inverse=True)
        penalties = np.array([length_penalty(int(size)) for size in sizes], np.float32)[inverse]
        factors = np.where(matrix.spans[:, 2], np.float32(QUESTION_FACTOR), np.float32(1.0))
        scales = inverse_lengths(dot_products(matrix.codes, matrix.steps, mean), mean) * factors
        lengths = matrix.spans[matrix.starts + matrix.sizes - 1, 1].astype(np.float32)
        usual = max(float(lengths.sum()) / max(len(lengths), 1), LEAST_MEAN)
        places = Places(matrix.numbers, matrix.places, lengths / np.float32(usual))
        return Scan(matrix, mean, scales, penalties, places)

    def compare(self, question: Vector, *, complete: bool = True) -> "SimilarMemories":
        """Return the similarity of each memory's best piece to the question."""
        return self._compare(question, self.matrix, slice(None), slice(None), complete)

    def compare_only(self, question: Vector, allowed: Sequence[int]) -> "SimilarMemories":
        """Compare only the allowed memories."""
        positions, are_here = positions_of(np.unique(np.asarray(allowed, np.int64)), self.matrix.numbers)
        layout, rows = self.matrix.part(positions[are_here])
        return self._compare(question, layout, positions[are_here], rows, complete=True)

    def _compare(
        self, question: Vector, layout: Layout, positions: Positions | slice, rows: Positions | slice, complete: bool
    ) -> "SimilarMemories":
        centered = without_mean(question, self.mean)
        products = dot_products(self.matrix.codes[rows], self.matrix.steps[rows], centered)
        cosines = (products - float(self.mean @ centered)) * self.scales[rows]
        best = cosines if len(cosines) == len(layout.numbers) else np.maximum.reduceat(cosines, layout.starts)
        return SimilarMemories(layout.numbers, best - self.penalties[positions], layout, cosines, complete)


@dataclass(frozen=True, slots=True)
class SimilarMemories:
    """Memories (numbers, ascending) and how similar each one is to a question, about -1 to 1. `complete` is true if no
    memory with vectors was left out.
    """

    numbers: Numbers
    similarities: Vector
    layout: Layout = field(repr=False)
    cosines: Vector = field(repr=False)
    """The cosine of each piece of the layout and the question."""

    complete: bool
    others: "SimilarMemories | None" = field(default=None, repr=False)
    """Memories whose vectors come from an earlier model. `numbers` and `similarities` include them."""

    def with_others(self, others: "SimilarMemories") -> "SimilarMemories":
        """Add the memories that are only in `others`. Rescale their similarities to the level that is usual for this
        model.
        """
        added = ~np.isin(others.numbers, self.numbers)
        scale = np.float32(1)
        if min(len(self.numbers), len(others.numbers)) >= COMPARABLE:
            scale = self.similarities.std() / max(others.similarities.std(), np.float32(1e-6))
        numbers = np.concatenate([self.numbers, others.numbers[added]])
        similarities = np.concatenate([self.similarities, others.similarities[added] * scale])
        order = np.argsort(numbers, kind="stable")
        complete = self.complete and others.complete
        return SimilarMemories(numbers[order], similarities[order], self.layout, self.cosines, complete, others)

    def best_span(self, number: int) -> tuple[int, int] | None:
        """Return the span of the memory's best piece in its text, or None if no vector of the memory was compared."""
        layout = self.layout
        position = int(np.searchsorted(layout.numbers, number))
        if position == len(layout.numbers) or layout.numbers[position] != number:
            return self.others.best_span(number) if self.others else None
        start = int(layout.starts[position])
        end = int(layout.starts[position + 1]) if position + 1 < len(layout.starts) else len(self.cosines)
        row = start + int(self.cosines[start:end].argmax())
        return int(layout.spans[row, 0]), int(layout.spans[row, 1])


_EMPTY = Scan.of(Matrix.of(StoredPieces.from_rows([], 1)), np.zeros(1, np.float32))
NOTHING_SIMILAR = _EMPTY.compare(np.zeros(1, np.float32))
"""The result for a question without a vector."""
