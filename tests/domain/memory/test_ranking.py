"""Ranks memories by meaning and words. A final ranking stops a search from asking Chroma for more neighbors."""

from dataclasses import replace

import numpy as np
import pytest

from server.domain.memory.ranking import MANY, rank
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


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("words", [0, 500])
def test_a_large_project_is_ranked_as_if_all_its_memories_were_scored(
    threshold: float, words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = np.random.default_rng(words)
    numbers = np.arange(MANY, dtype=np.int64)
    similar = replace(NOTHING_SIMILAR, numbers=numbers, similarities=drawn.normal(0, 0.2, MANY).astype(np.float32))
    shares, windows = drawn.random((2, words), np.float32)
    holding = np.sort(drawn.choice(numbers + 10, words, replace=False))  # some have no vector
    matches = replace(NO_MATCHES, numbers=holding, shares=shares, windows=windows)
    ranking = rank(similar, matches, threshold, WIDTH)
    monkeypatch.setattr("server.domain.memory.ranking.MANY", MANY + 1)
    expected = rank(similar, matches, threshold, WIDTH)
    assert (ranking.is_final, ranking.best) == (expected.is_final, expected.best)
    for part in ("numbers", "scores", "similarities", "shares", "windows"):
        assert np.array_equal(getattr(ranking, part), getattr(expected, part))
