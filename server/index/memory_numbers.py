"""Operations on arrays of memory numbers."""

import numpy as np
from numpy.typing import NDArray

from server.index.types import Numbers, Vector


def best_of(numbers: Numbers, values: Vector, count: int) -> Numbers:
    """Return the numbers of the `count` memories with the highest values, in any order."""
    if count >= len(numbers):
        return numbers
    return numbers[np.argpartition(-values, count)[:count]]


def positions_of(wanted: Numbers, numbers: Numbers) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the position of each `wanted` number in `numbers` (ascending), and whether it is there."""
    if not len(numbers):
        return np.zeros(len(wanted), np.intp), np.zeros(len(wanted), np.bool_)
    positions = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
    return positions, numbers[positions] == wanted


def union(numbers: Numbers, others: Numbers) -> Numbers:
    """Return all numbers, ascending. `numbers` is ascending, and is returned as is if it contains all `others`."""
    missing = others[~positions_of(others, numbers)[1]]
    return np.union1d(numbers, missing) if len(missing) else numbers
