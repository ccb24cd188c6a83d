"""Orders results whose scores hardly differ."""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

NEAR = 0.005
"""Scores that differ by at most this much are near equals: the newer memory comes first."""


def newer_first(order: NDArray[np.intp], descending: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return `order`, best first, but with the newer of near equals first. `descending` holds the scores of `order`;
    the caller leaves them in that order, so that scores still descend.
    """
    numbers = order.tolist()
    ascending = (-descending).tolist()
    ends = (NEAR - descending).tolist()
    start = 0
    while start < len(numbers):
        end = bisect_right(ascending, ends[start], start)
        numbers[start:end] = sorted(numbers[start:end], reverse=True)
        start = end
    return np.array(numbers, np.intp)
