"""A search has the same answer whether or not the model is busy."""

from collections.abc import AsyncIterator, Sequence

import pytest
from starlette.types import ASGIApp

from server.app import create_app
from server.index.model.failures import QuestionUnreadable
from server.index.types import Vectors
from server.settings import Settings
from tests.rest.conftest import Caller
from tests.support.fakes import WordEmbedder
from tests.support.started import running


class English(WordEmbedder):
    """A model that knows no word of another language."""

    idle = True

    def is_idle(self) -> bool:
        return self.idle

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        if is_question and not "".join(texts).isascii():
            raise QuestionUnreadable
        return super().embed(texts)


@pytest.fixture
def model() -> English:
    return English()


@pytest.fixture
async def app(settings: Settings, model: English) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: model)) as app:
        yield app


async def test_an_answer_to_a_question_that_the_model_cannot_read(api: Caller, model: English) -> None:
    await api.add("周五下午三点和李医生有预约")
    question = {"query": "下周五的会议", "threshold": 0}
    idle = (await api.post("/api/memories/search", question)).json()
    model.idle = False
    busy = (await api.post("/api/memories/search", question)).json()
    assert len(idle["results"]) == 1
    assert "weak" not in idle
    assert busy == idle
