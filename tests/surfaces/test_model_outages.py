"""A model that fails or is closed is an outage: every door answers 503, and none reports a bug."""

from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest
from starlette.types import ASGIApp

from server.app import create_app
from server.index.model.batching import BatchingEmbedder
from server.index.model.prompts import NO_PROMPTS
from server.index.types import Vectors
from server.settings import Settings
from tests.conftest import Tenant
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.visitors import Visitor
from tests.support.visitors import visit as visit
from tests.tools.conftest import MODERN, Mcp

FAILED = "The embedding model failed; nothing was changed. Try again."
STOPPING = "The server is stopping; nothing was changed. Try again."
PRIVATE = "what the model says about a text"


class FailingModel(WordEmbedder):
    """A model that can run no text."""

    prompts = NO_PROMPTS
    threads = 1
    batch_size = 1

    def encode(self, _texts: Sequence[str], /) -> Vectors:
        raise ValueError(PRIVATE)


@pytest.fixture
def embedder() -> BatchingEmbedder:
    return BatchingEmbedder(FailingModel())


@pytest.fixture(params=[FAILED, STOPPING])
def sentence(request: pytest.FixtureRequest, embedder: BatchingEmbedder) -> str:
    """What the doors say; the embedder is in that state."""
    if request.param == STOPPING:
        embedder.close()
    return str(request.param)


@pytest.fixture
async def app(settings: Settings, embedder: BatchingEmbedder) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: embedder)) as app:
        yield app


async def test_rest_answers_503_with_retry_after(client: httpx.AsyncClient, alice: Tenant, sentence: str) -> None:
    messages = [{"role": "user", "content": "a red canoe"}]
    for path, body in (
        ("/api/memories", {"messages": messages}),
        ("/api/memories/search", {"query": "canoe"}),
        ("/api/memories/batch", {"memories": [{"messages": messages}]}),
    ):
        answer = await client.post(path, json=body, headers=alice.auth)
        assert (answer.status_code, answer.json()) == (503, {"detail": sentence}), path
        assert int(answer.headers["Retry-After"]) >= 1
        assert PRIVATE not in answer.text
    assert (await client.get("/api/memories/stats", headers=alice.auth)).json()["total"] == 0


async def test_tools_answer_one_sentence_that_says_to_try_again(
    client: httpx.AsyncClient, alice: Tenant, sentence: str
) -> None:
    mcp = Mcp(client, alice.auth, MODERN)
    assert await mcp.refusal("add_memory", content="a red canoe") == sentence
    assert await mcp.refusal("search", query="canoe") == sentence


async def test_pages_answer_503_with_retry_after(
    visit: Callable[[Tenant], Visitor], alice: Tenant, sentence: str
) -> None:
    ann = visit(alice)
    page = f"/dashboard/projects/{alice.project_id}/memories"
    for answer in (await ann.get(f"{page}?q=canoe"), await ann.post(f"{page}/new", {"text": "a red canoe"})):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert sentence in answer.text
