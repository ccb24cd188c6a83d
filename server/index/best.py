"""The best of many memories."""

import numpy as np

from server.index.types import Numbers, Vector


def best_of(numbers: Numbers, values: Vector, count: int) -> Numbers:
    """Return the numbers of the `count` memories with the highest values, in any order."""
    if count >= len(numbers):
        return numbers
    return numbers[np.argpartition(-values, count)[:count]]
