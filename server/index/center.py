"""The mean of a project's vectors. It is subtracted before vectors are compared, because it is what all pieces have in
common.
"""

import numpy as np
from numpy.typing import NDArray

from server.index.types import Vector, Vectors

MEAN_PRIOR_PIECES = 50
"""The mean includes this many pieces at the model's mean, because the mean of a few memories alone is unreliable."""


def mean_of(total: NDArray[np.float64], count: int, prior: Vector) -> Vector:
    """Return the mean of `count` vectors whose sum is `total`. `prior` is the mean of the model's vectors."""
    return ((total + MEAN_PRIOR_PIECES * prior) / (count + MEAN_PRIOR_PIECES)).astype(np.float32)


def without_mean(vectors: Vectors, mean: Vector) -> Vectors:
    """Return the vectors without the mean, scaled back to unit length."""
    rest = vectors - mean
    return np.asarray(rest / np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), 1e-6), np.float32)


def inverse_lengths(products: Vector, mean: Vector) -> Vector:
    """Return 1 / |vector - mean| of each unit vector, given its dot product with the mean."""
    squares = 1.0 - 2.0 * products + float(mean @ mean)
    return np.asarray(1.0 / np.sqrt(np.maximum(squares, 1e-6)), np.float32)
