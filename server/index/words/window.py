"""Scores the words around a memory: the answer to a question is often in the memories before or after those that hold
its words.

    window = sum(rarity(t) * best(t)) / sum(rarity(t))
    best(t) = max over |o| <= REACH of DECAY^|o| * (1 + part(t, o)) / 2

`t` are the question's terms. `part(t, o)` is the score for `t`, without rarity, of the memory that is `o` places later
in the same conversation. A memory that does not hold the term counts 0. On LoCoMo 1-5 this part of the score raises
recall@10 by two points. REACH from 6 to 12 and DECAY from 0.85 to 0.95 give similar results. For memories without an
order, the window changes nothing.
"""

import numpy as np
from numpy.typing import NDArray

REACH = 6
DECAY = 0.9

_WEIGHTS = DECAY ** np.arange(REACH + 1)


def windows(
    places: NDArray[np.int64], held: NDArray[np.float64], rarities: NDArray[np.float64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the window at each of the `wanted` places, 0 to 1.

    `places` (memories) are those of the memories that hold a term, `held` (memories, terms) is (1 + part) / 2 where one
    holds a term and 0 elsewhere, and `rarities` (terms) weigh the terms.
    """
    distinct = places
    if not (places[1:] > places[:-1]).all():
        distinct, first = np.unique(places, return_index=True)
        held = held[first]
    starts = np.searchsorted(distinct, wanted - REACH)
    counts = np.searchsorted(distinct, wanted + REACH, side="right") - starts
    ends = np.cumsum(counts)
    near = np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())
    weights = _WEIGHTS[np.abs(distinct[near] - np.repeat(wanted, counts))]
    best = np.zeros((len(wanted), len(rarities)))
    if len(near):
        has_near = counts > 0
        best[has_near] = np.maximum.reduceat(weights[:, None] * held[near], (ends - counts)[has_near])
    return (best @ rarities) / max(float(rarities.sum()), 1e-9)
