"""Decides which results and answers are no better than those of unrelated questions: results below the floor, and weak
answers.

The best of many memories is close to any question by chance, so both grow with the number of memories compared. Nine
of ten unrelated questions have a best score below 0.14 among 10 memories, 0.18 among 30, 0.22 among 100.

docs/benchmarks.md shows the effect on LoCoMo and on 30 questions about nothing that is stored. The floor is low,
because a question about the right people scores as high without an answer as with one.
"""

import math

WEAK_OF_FEW = 0.13
WEAK_OF_MANY = 0.28
WEAK_PER_LOGARITHM = 0.045
"""From 18 to 500 memories, `weak_below` grows with the logarithm of their number."""

BY_WORDS = 0.2
"""The part of `weak_below` that unrelated questions reach by their words alone."""

FLOOR_OF_WEAK = 0.575
"""The floor as a fraction of `weak_below`. From 0.6 on, right answers are lost."""


def weak_below(compared: int, *, by_words: bool = False) -> float:
    """Return the score below which an answer is weak. `compared` is the number of memories compared.

    With `by_words`, it is for scores to which similarities do not count.
    """
    level = min(max(WEAK_PER_LOGARITHM * math.log(max(compared, 1)), WEAK_OF_FEW), WEAK_OF_MANY)
    return BY_WORDS * level if by_words else level


def floor_among(compared: int, *, by_words: bool = False) -> float:
    """Return the threshold if the caller gives none."""
    return FLOOR_OF_WEAK * weak_below(compared, by_words=by_words)
