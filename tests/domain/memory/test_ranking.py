"""A final ranking stops a search from asking Chroma for more neighbors."""

from dataclasses import replace

import numpy as np
import pytest

from server.domain.memory.ranking import rank
from server.index.exact.matrix import NOTHING_SIMILAR
from server.index.words.word_search import NO_MATCHES

WIDTH = 100


@pytest.mark.parametrize(
    ("near", "only_words", "complete", "is_final"),
    [(100, 0, False, False), (100, 50, False, False), (120, 50, False, False), (90, 50, False, True),
     (90, 0, False, False), (100, 50, True, True), (120, 50, True, False)],
)  # fmt: skip
def test_a_ranking_is_final_if_a_wider_one_would_find_nothing_more(
    near: int, only_words: int, complete: bool, is_final: bool
) -> None:
    """The near memories pass the threshold, and those that only words found do not."""
    similar = replace(
        NOTHING_SIMILAR,
        numbers=np.arange(near),
        similarities=np.linspace(0.9, 0.6, near, dtype=np.float32),
        complete=complete,
    )
    matches = replace(
        NO_MATCHES,
        numbers=np.arange(1_000, 1_000 + only_words),
        shares=np.full(only_words, 0.01, np.float32),
        windows=np.zeros(only_words, np.float32),
    )
    assert rank(similar, matches, threshold=0.16, width=WIDTH).is_final is is_final
