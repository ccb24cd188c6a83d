"""Vectors as codes of 8 bits: they take a quarter of the memory, and a scan takes less than half the time.

A component is about code * step. Each vector has its own step, so that its largest component has the code 127 or -127.
"""

import numpy as np
import simsimd
from numpy.typing import NDArray

from server.index.types import Vector, Vectors

Codes = NDArray[np.int8]
"""Shape (count, dimensions)."""

LARGEST_CODE = 127
SMALLEST_STEP = 1e-9
"""So that a vector of zeros can be divided by its step."""


def encode(vectors: Vectors) -> tuple[Codes, Vector]:
    """Return the codes and the step of each vector."""
    steps = np.maximum(np.abs(vectors).max(axis=1, initial=0.0) / LARGEST_CODE, np.float32(SMALLEST_STEP))
    return np.rint(vectors / steps[:, None]).astype(np.int8), steps


def dot_products(codes: Codes, steps: Vector, vector: Vector) -> Vector:
    """Return the dot product of each encoded vector and `vector`."""
    if not len(codes):
        return np.empty(0, np.float32)
    question, (step,) = encode(vector[None])
    products: Vector = np.asarray(simsimd.dot(codes, question[0]), np.float32) * (steps * step)
    return products


def total_of(codes: Codes, steps: Vector) -> NDArray[np.float64]:
    """Return the sum of the encoded vectors, without decoding all of them at once."""
    return np.asarray(np.einsum("i,ij->j", steps, codes), np.float64)
