"""Says in one word how well a result answers a question.

A score alone is misleading, because the conversation around a memory raises it too. A result is better than weak if
the memory itself says something close to the question, in meaning or in words.
"""

from enum import StrEnum

from server.domain.memory.pages.highlights import Highlighter
from server.domain.memory.parameters import asks_nothing
from server.domain.memory.search import SearchPage, SearchResult
from server.index.words.titles import words_beside

CLOSE = 0.25
"""The lowest similarity at which the meaning alone makes a result close. Unrelated texts reach 0.2."""

VERY_CLOSE = 0.4
HIGH_SCORE = 0.5
HALF = 0.5
"""A result with this part of the question's words is close. A result below this part of the best score is weak."""


class Strength(StrEnum):
    STRONG = "strong"
    GOOD = "good"
    WEAK = "weak"


def strengths_of(page: SearchPage, question: str) -> list[Strength]:
    """Return the strength of each result of the page. An empty question compares nothing, so all are strong."""
    if asks_nothing(question):
        return [Strength.STRONG] * len(page.results)
    if page.weak:
        return [Strength.WEAK] * len(page.results)
    highlighter = Highlighter(question)
    floor = max(page.weak_below, HALF * page.best)
    return [
        _strength(one, highlighter.coverage(f"{words_beside(one.memory.details)}\n{one.memory.content}"), floor)
        for one in page.results
    ]


def _strength(result: SearchResult, coverage: float, floor: float) -> Strength:
    if result.score < floor or (result.similarity < CLOSE and coverage < HALF):
        return Strength.WEAK
    if result.score >= HIGH_SCORE and (result.similarity >= VERY_CLOSE or coverage == 1):
        return Strength.STRONG
    return Strength.GOOD
