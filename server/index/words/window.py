"""Scores the words around a memory: the answer to a question is often in the memories before or after those that hold
its words.

    coverage = sum(rarity(t) * best(t)) / sum(rarity(t))
    best(t) = max over |o| <= REACH of BEFORE^|o| or AFTER^|o| * credit(t, o)

`t` are the question's terms. `credit(t, o)` is the credit (see `word_search`) of the memory that is `o` places later in
the same conversation. A memory that does not hold the term counts 0. An answer follows its question, so what was said
before a memory counts more than what was said after it. Only a memory that holds a term itself has a window: what its
neighbors say is no reason to show a memory that says nothing of the kind. For memories without an order, the window
changes nothing.
"""

import numpy as np
from numpy.typing import NDArray

REACH = 6
BEFORE = 0.95
AFTER = 0.85

_OFFSETS = np.arange(-REACH, REACH + 1)
_WEIGHTS = np.where(_OFFSETS < 0, BEFORE, AFTER) ** np.abs(_OFFSETS)


def windows(
    places: NDArray[np.int64], credits: NDArray[np.float64], rarities: NDArray[np.float64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the coverage of the window at each of the `wanted` places, 0 to 1.

    `places` (memories) are those of the memories that hold a term, `credits` has shape (memories, terms), and
    `rarities` (terms) weigh the terms.
    """
    distinct = places
    if not (places[1:] > places[:-1]).all():
        order = np.argsort(places, kind="stable")
        distinct, first = np.unique(places[order], return_index=True)
        credits = np.maximum.reduceat(credits[order], first)
    starts = np.searchsorted(distinct, wanted - REACH)
    counts = np.searchsorted(distinct, wanted + REACH, side="right") - starts
    ends = np.cumsum(counts)
    near = np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())
    weights = _WEIGHTS[distinct[near] - np.repeat(wanted, counts) + REACH]
    best = np.zeros((len(wanted), len(rarities)))
    if len(near):
        has_near = counts > 0
        best[has_near] = np.maximum.reduceat(weights[:, None] * credits[near], (ends - counts)[has_near])
    return (best @ rarities) / max(float(rarities.sum()), 1e-9)
