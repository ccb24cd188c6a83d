"""Combines meaning and words into one score, and sorts memories by it.

    score      = clip((0.6 * similarity + 0.15 * share + 0.55 * window) / 1.3, 0, 1)
    similarity = cos(question - mean, best piece - mean) - length_penalty
    share      = coverage ** 1.25
    window     = the same with the words of the memories before and after it, weighted by distance

- mean: that of the vectors of the project's pieces and of 50 more at the model's own mean (`server/index/center.py`).
- length_penalty: 0.1 * (sqrt(2 ln pieces) - sqrt(2 ln 16)) for a memory of more than 16 pieces, else 0.
- If a short piece only asks a question, half of its cosine counts.
- coverage: the part of the question's terms that the memory holds, weighted by their IDF in the project. A common term
  counts less in a long memory.

`server/index/exact/matrix.py` computes the similarity, `server/index/words/word_search.py` the share and
`server/index/words/window.py` the window. A memory that only its words found has similarity 0; one that holds no term
of the question itself has share 0 and window 0, even next to a match. Three exceptions: if the question has no
terms to look for, score = clip(similarity, 0, 1); while the model is away, or if it knows no word of the question,
share and window alone make the score; and if the model does not support the question's script, they make nearly all of
it.

Among memories whose scores differ by at most 0.005, the newer comes first (`newer_first`). The scores are then given
out again in descending order. A search shows equal texts of one user once, as the newest (`folding`).

The weights were tuned on LoCoMo 1-5. Results hardly change for shares of 0.1 to 0.25 and windows of 0.5 to 0.7.
docs/benchmarks.md shows what each part contributes.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from server.index.exact.matrix import NOTHING_SIMILAR, SimilarMemories
from server.index.memory_numbers import best_of, positions_of, union
from server.index.types import Numbers
from server.index.words.word_search import WordMatches

SIMILARITY_WEIGHT = 0.6 / 1.3
SHARE_WEIGHT = 0.15 / 1.3
WINDOW_WEIGHT = 0.55 / 1.3

MISREAD_WEIGHT = 0.03
"""The weight of the similarity if the model does not support the question's script. To such a model, all texts in that
script are similar, so the similarity only sorts memories with the same words.
"""

NEAR = 0.005
"""Scores that differ by at most this much are near equals: the newer memory comes first."""

MANY = 20_000
"""From this number of memories on, leaving out some of them first costs less than scoring all of them."""

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Memories with their scores and the parts of each score, best first."""

    numbers: Numbers
    scores: Scores
    similarities: Scores
    shares: Scores
    windows: Scores
    is_final: bool
    """True if a larger `width` would find nothing more, because all memories are ranked or the threshold cut the
    ranking.
    """

    judged: Scores
    """The scores that decide whether the answer is weak: those of the words alone if the question is misread."""

    best: float
    """The best of these, even if its memory is below the threshold; 1 if nothing was compared."""

    def best_of(self, existing: Iterable[int]) -> float:
        """Return the best of `judged` at these positions, or the best one that missed the threshold."""
        return max((float(self.judged[position]) for position in existing), default=self.best)


def best_by_words(matches: WordMatches, count: int) -> Numbers:
    """Return the numbers of the `count` memories that score highest by their words alone, in any order."""
    return best_of(matches.numbers, _by_words(matches.shares, matches.windows), count)


def rank(
    similar: SimilarMemories, matches: WordMatches, threshold: float, width: int, *, is_misread: bool = False
) -> Ranking:
    """Score all candidates. Keep the `width` best, and those with nearly the same score as the last of these.

    `is_misread`: the model does not support the question's script.
    """
    weight = _weight(similar, matches, is_misread)
    likely = _likely(similar, matches, threshold, weight)
    numbers = union(likely.numbers, matches.numbers)
    similarities = _spread(numbers, likely.numbers, likely.similarities)
    shares = _spread(numbers, matches.numbers, matches.shares)
    windows = _spread(numbers, matches.numbers, matches.windows)
    by_words = _by_words_alone(shares, windows)
    scores = np.clip(weight * similarities + (1 - weight) * by_words, 0.0, 1.0)
    judged = by_words if is_misread else scores
    passing = np.flatnonzero(scores >= threshold)
    lowest = np.partition(scores[passing], -width)[-width] if width < len(passing) else threshold
    best = passing[scores[passing] >= lowest - NEAR]
    order = best[np.argsort(-scores[best])]
    descending = scores[order]
    chosen = newer_first(order, descending)
    return Ranking(
        numbers[chosen],
        descending,
        np.clip(similarities[chosen], 0.0, 1.0),
        shares[chosen],
        windows[chosen],
        is_final=len(best) == len(passing) and (similar.complete or len(passing) < min(width, len(scores))),
        judged=judged[chosen],
        best=float(judged.max()) if len(judged) else 1.0,
    )


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


def _likely(similar: SimilarMemories, matches: WordMatches, threshold: float, weight: float) -> SimilarMemories:
    """Leave out the memories that cannot reach the threshold: those that hold no term and are not similar enough. Keep
    the most similar one, for the best score.
    """
    if not similar.complete or len(similar.numbers) < MANY:
        return similar
    is_likely = weight * similar.similarities >= threshold
    is_likely[similar.similarities.argmax()] = True
    positions, is_similar = positions_of(matches.numbers, similar.numbers)
    is_likely[positions[is_similar]] = True
    return replace(similar, numbers=similar.numbers[is_likely], similarities=similar.similarities[is_likely])


def _weight(similar: SimilarMemories, matches: WordMatches, is_misread: bool) -> float:
    """Return the part of the score that the similarity makes. Words make the rest."""
    if similar is NOTHING_SIMILAR:  # the question has no vector
        return 0.0
    if not matches.asked:
        return 1.0
    return MISREAD_WEIGHT if is_misread else SIMILARITY_WEIGHT


def _by_words(shares: Scores, windows: Scores) -> Scores:
    return SHARE_WEIGHT * shares + WINDOW_WEIGHT * windows


def _by_words_alone(shares: Scores, windows: Scores) -> Scores:
    return _by_words(shares, windows) / (SHARE_WEIGHT + WINDOW_WEIGHT)


def _spread(numbers: Numbers, value_numbers: Numbers, values: Scores) -> Scores:
    """Return the values for all `numbers`, 0 for those that `value_numbers` lacks. Both are ascending."""
    if value_numbers is numbers:
        return values
    spread = np.zeros(len(numbers), np.float32)
    spread[np.searchsorted(numbers, value_numbers)] = values
    return spread
