"""Decides which results and answers are no better than those of unrelated questions: results below the floor, and weak
answers.

The best of many memories is close to any question by chance, so both grow with the number of memories compared. Of 100
unrelated questions, 60 have a best score below 0.10 among 7 memories, 0.17 among 100, 0.22 among 360, 0.24 among 600.

docs/benchmarks.md shows the effect on LoCoMo and on 30 questions about nothing that is stored. The floor is low,
because a question about the right people scores as high without an answer as with one.
"""

import math

WEAK_OF_FEW = 0.1
WEAK_OF_MANY = 0.28
WEAK_PER_LOGARITHM = 0.045
"""From about 10 to 500 memories, `weak_below` grows with the logarithm of their number."""

FLOOR_OF_WEAK = 0.575
"""The floor as a fraction of `weak_below`. From 0.6 on, right answers are lost."""


def weak_below(compared: int) -> float:
    """Return the score below which an answer is weak. `compared` is the number of memories compared."""
    return min(max(WEAK_PER_LOGARITHM * math.log(max(compared, 1)), WEAK_OF_FEW), WEAK_OF_MANY)


def floor_among(compared: int) -> float:
    """Return the threshold if the caller gives none."""
    return FLOOR_OF_WEAK * weak_below(compared)
