"""Exact scanning: the vectors of some memories as one matrix, and how similar each memory is to a question."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.index.outbox import Vectors
from server.index.pieces import length_penalty

MEAN_PRIOR_PIECES = 50
"""So many pieces at the origin are counted with a project's own for its mean: a few memories have no centre yet."""

Numbers = NDArray[np.int64]
Places = NDArray[np.intp]
PieceRow = tuple[int, int | None, int | None, bytes | None]
"""A memory's number, and one of its pieces: start, end, vector; None when it has none."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The pieces of some memories: unit vectors, float32 (pieces, dimensions), grouped by memory, numbers ascending."""

    numbers: Numbers
    first: Places
    """The first piece of each memory."""
    spans: NDArray[np.int32]
    vectors: Vectors
    room: Vectors = field(repr=False)
    """The array whose beginning `vectors` is; later pieces are written behind it instead of copying all."""

    @staticmethod
    def of(rows: Sequence[PieceRow], dimensions: int) -> "Matrix":
        """From SQL, ordered by memory and position."""
        whole = [row for row in rows if row[3] is not None]
        owners = np.fromiter((row[0] for row in whole), np.int64, len(whole))
        numbers, first = np.unique(owners, return_index=True)
        spans = np.array([row[1:3] for row in whole], np.int32).reshape(-1, 2)
        vectors = np.frombuffer(b"".join(row[3] or b"" for row in whole), "<f4").reshape(-1, dimensions)
        return Matrix(numbers, first, spans, vectors, vectors)

    @property
    def sizes(self) -> Places:
        """How many pieces each memory has."""
        return np.diff(self.first, append=len(self.vectors))

    def with_changes(self, new: "Matrix", gone: Numbers) -> "Matrix":
        """Without `gone`, with `new` (of which none is left here). Writes behind `vectors` when it can."""
        stays = ~np.isin(self.numbers, gone)
        if stays.all() and (not len(self.numbers) or not len(new.numbers) or new.numbers[0] > self.numbers[-1]):
            return self._appended(new)
        kept = self.taken(np.flatnonzero(stays))
        both = kept._appended(new)
        return both.taken(np.argsort(both.numbers, kind="stable"))

    def taken(self, places: Places) -> "Matrix":
        """The memories at these places, in this order, in arrays of their own."""
        sizes = self.sizes[places]
        first = np.cumsum(sizes) - sizes
        rows = np.arange(sizes.sum()) + np.repeat(self.first[places] - first, sizes)
        vectors = self.vectors[rows]
        return Matrix(self.numbers[places], first, self.spans[rows], vectors, vectors)

    def _appended(self, new: "Matrix") -> "Matrix":
        if not len(self.vectors) or not len(new.vectors):
            return self if len(self.vectors) else new
        end = len(self.vectors) + len(new.vectors)
        room = self.room
        if end > len(room):
            room = np.empty((end + end // 4 + 16, self.vectors.shape[1]), np.float32)
            room[: len(self.vectors)] = self.vectors
        room[len(self.vectors) : end] = new.vectors
        return Matrix(
            np.concatenate([self.numbers, new.numbers]),
            np.concatenate([self.first, new.first + len(self.vectors)]),
            np.concatenate([self.spans, new.spans]),
            room[:end],
            room,
        )


@dataclass(frozen=True, slots=True)
class Centre:
    """What all vectors of a project have in common (float32, dimensions): what is left of them tells them apart."""

    mean: Vectors

    @staticmethod
    def of(vectors: Vectors) -> "Centre":
        return Centre((vectors.sum(axis=0, dtype=np.float64) / (len(vectors) + MEAN_PRIOR_PIECES)).astype(np.float32))

    def left(self, vectors: Vectors) -> Vectors:
        """The vectors without the mean, at unit length again."""
        without = vectors - self.mean
        return np.asarray(without / np.maximum(np.linalg.norm(without, axis=-1, keepdims=True), 1e-6), np.float32)

    def scales(self, vectors: Vectors) -> Vectors:
        """1 / length of each unit vector without the mean, without making all of them."""
        squares = 1.0 - 2.0 * _dots(vectors, self.mean) + float(self.mean @ self.mean)
        return np.asarray(1.0 / np.sqrt(np.maximum(squares, 1e-6)), np.float32)


@dataclass(frozen=True, slots=True)
class Scan:
    """A matrix made ready for questions."""

    matrix: Matrix
    centre: Centre
    scales: Vectors
    penalties: Vectors
    """By memory: what is taken off for many pieces."""

    @staticmethod
    def of(matrix: Matrix, centre: Centre) -> "Scan":
        sizes, inverse = np.unique(matrix.sizes, return_inverse=True)
        penalties = np.array([length_penalty(int(size)) for size in sizes], np.float32)[inverse]
        return Scan(matrix, centre, centre.scales(matrix.vectors), penalties)

    def similar(self, question: Vectors, *, complete: bool = True) -> "SimilarMemories":
        """The cosine of each memory's best piece with the question, both without the centre."""
        matrix = self.matrix
        asked = self.centre.left(question)
        rows = (_dots(matrix.vectors, asked) - float(self.centre.mean @ asked)) * self.scales
        best = np.maximum.reduceat(rows, matrix.first) if len(rows) else rows
        return SimilarMemories(matrix.numbers, best - self.penalties, self, rows, complete)


@dataclass(frozen=True, slots=True)
class SimilarMemories:
    """Memories (numbers, ascending) and how similar each is to a question, about -1..1.

    `complete` tells that every memory with vectors that could be asked about is among them.
    """

    numbers: Numbers
    similarities: Vectors
    scan: Scan = field(repr=False)
    rows: Vectors = field(repr=False)
    complete: bool

    def among(self, allowed: Sequence[int]) -> "SimilarMemories":
        """Only these memories."""
        kept = np.flatnonzero(np.isin(self.numbers, np.asarray(allowed, np.int64)))
        return SimilarMemories(self.numbers[kept], self.similarities[kept], self.scan, self.rows, self.complete)

    def best(self, count: int) -> Numbers:
        """The numbers of the `count` most similar, in any order."""
        if count >= len(self.numbers):
            return self.numbers
        return self.numbers[np.argpartition(-self.similarities, count)[:count]]

    def span_of(self, number: int) -> tuple[int, int] | None:
        """Start and end of the memory's best piece in its text; None when it has no vectors here."""
        matrix = self.scan.matrix
        place = int(np.searchsorted(matrix.numbers, number))
        if place == len(matrix.numbers) or matrix.numbers[place] != number:
            return None
        first = int(matrix.first[place])
        end = int(matrix.first[place + 1]) if place + 1 < len(matrix.first) else len(self.rows)
        row = first + int(self.rows[first:end].argmax())
        return int(matrix.spans[row, 0]), int(matrix.spans[row, 1])


def _dots(vectors: Vectors, one: Vectors) -> Vectors:
    """`vectors @ one`, which BLAS would share out to threads that spin for long after, on the other requests' cores."""
    return np.asarray(np.vecdot(vectors, one), np.float32)
