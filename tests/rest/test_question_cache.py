"""A repeated question in the same project does not need the model."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from server.index.model import question_cache
from tests.rest.conftest import Caller
from tests.support.fakes import WordEmbedder


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the model has embedded."""
    texts: list[str] = []
    embed = WordEmbedder.embed

    def counting(self: WordEmbedder, given: Sequence[str], /, *, is_question: bool = False) -> NDArray[np.float32]:
        texts.extend(given)
        return embed(self, given, is_question=is_question)

    monkeypatch.setattr(WordEmbedder, "embed", counting)
    return texts


async def test_a_question_is_embedded_once_in_each_project(embedded: list[str], api: Caller, stranger: Caller) -> None:
    for caller in (api, api, stranger):
        await caller.results({"query": "who knows of the breach"})
    assert embedded.count("who knows of the breach") == 2


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question_cache, "MAX_QUESTIONS", 3)
    cache = question_cache.QuestionCache()
    vector = np.zeros(3, np.float32)
    for number in range(5):
        cache.put("proj_one", f"question {number}", vector)
    cache.put("proj_one", "x" * (question_cache.MAX_CHARACTERS + 1), vector)
    kept = [number for number in range(5) if cache.get("proj_one", f"question {number}") is not None]
    assert kept == [2, 3, 4]
    assert cache.get("proj_one", "x" * (question_cache.MAX_CHARACTERS + 1)) is None
