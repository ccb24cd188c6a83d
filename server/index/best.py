"""Picks the best of many memories."""

import numpy as np

from server.index.types import Numbers, Vector


def best_of(numbers: Numbers, values: Vector, count: int) -> Numbers:
    """Return the numbers of the `count` memories with the highest values, in any order."""
    if count >= len(numbers):
        return numbers
    return numbers[np.argpartition(-values, count)[:count]]


def union(numbers: Numbers, others: Numbers) -> Numbers:
    """Return all numbers, ascending. `numbers` is ascending, and is returned as is if it contains all `others`."""
    if not len(numbers):
        return np.sort(others)
    positions = np.searchsorted(numbers, others)
    missing = others[numbers[np.minimum(positions, len(numbers) - 1)] != others]
    return np.union1d(numbers, missing) if len(missing) else numbers
