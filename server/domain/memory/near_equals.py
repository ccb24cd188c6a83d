"""Orders results whose scores hardly differ."""

import numpy as np
from numpy.typing import NDArray

NEAR = 0.005
"""Scores that differ by at most this much are near equals: the newer memory comes first."""


def newer_first(order: NDArray[np.intp], descending: NDArray[np.float32]) -> NDArray[np.intp]:
    """Put the newer of near equals first. The scores stay in their places, so that they still descend."""
    groups: list[NDArray[np.intp]] = []
    start = 0
    while start < len(order):
        end = int(np.searchsorted(-descending, NEAR - descending[start], side="right"))
        groups.append(np.sort(order[start:end])[::-1])
        start = end
    return np.concatenate(groups) if groups else order
