"""Models behind an OpenAI-compatible endpoint: a real server on loopback that can be slow, fail or answer nonsense."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from sqlmodel import select

from server.app import create_app
from server.domain.people import users
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.index.model import breaker, endpoint, late
from server.index.model.endpoint import EndpointModel, embeddings_url
from server.index.model.failures import ModelAway
from server.index.upkeep import worker
from server.models import Project
from server.settings import Settings
from server.storage.database import Database
from tests.support.embedding_endpoint import KEY, MODEL, Endpoint, serving
from tests.support.fakes import SharedDirection, SharedNothing, WordEmbedder
from tests.support.started import running

TEXTS = ["I like green tea.", "The train leaves at nine."]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(endpoint, "PAUSE_SECONDS", 0.001)
    with serving() as running:
        yield running


@pytest.fixture
def model(server: Endpoint) -> Iterator[EndpointModel]:
    opened = EndpointModel(server.url, MODEL, KEY)
    server.batches.clear()
    yield opened
    opened.close()


def test_vectors_have_unit_length_and_the_order_of_the_texts(server: Endpoint, model: EndpointModel) -> None:
    server.is_reversed = True
    vectors = model.encode(TEXTS)
    assert np.allclose(vectors, WordEmbedder().embed(TEXTS), atol=1e-6)
    assert vectors.dtype == np.float32
    assert model.dimensions == WordEmbedder.dimensions
    assert model.name == f"words/endpoint-{WordEmbedder.dimensions}"
    assert server.batches == [TEXTS]


def test_the_direction_that_all_vectors_share_is_measured_when_a_model_is_opened(server: Endpoint) -> None:
    server.embedder = SharedDirection()
    opened = EndpointModel(server.url, MODEL, KEY)
    opened.close()
    assert opened.mean == pytest.approx(SharedDirection().mean, abs=0.1)
    assert opened.mean @ SharedDirection().shared == pytest.approx(0.89, abs=0.02)


def test_the_mean_of_vectors_that_share_nothing_is_short(server: Endpoint) -> None:
    server.embedder = SharedNothing()
    opened = EndpointModel(server.url, MODEL, KEY)
    opened.close()
    assert np.linalg.norm(opened.mean) < 0.1


def test_a_model_that_refuses_a_sample_has_no_mean_but_embeds_other_texts(server: Endpoint) -> None:
    server.refused = "Bibliothek"
    opened = EndpointModel(server.url, MODEL, KEY)
    assert not opened.mean.any()
    assert len(opened.encode(TEXTS)) == 2
    opened.close()


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": 0}])
def test_vectors_without_an_index_have_the_order_of_the_texts(
    server: Endpoint, model: EndpointModel, index: dict[str, object]
) -> None:
    rows = [[1.0, *[0.0] * 63], [0.0, 1.0, *[0.0] * 62]]
    server.answer = json.dumps({"data": [{"embedding": row, **index} for row in rows]}).encode()
    assert model.encode(TEXTS).tolist() == rows


@pytest.mark.parametrize(
    ("given", "posted"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1/embeddings"),
        ("http://localhost:11434/", "http://localhost:11434/v1/embeddings"),
        ("https://api.example.com/v1", "https://api.example.com/v1/embeddings"),
        ("https://api.example.com/v1/embeddings", "https://api.example.com/v1/embeddings"),
        ("https://x.example/openai/m?api-version=1", "https://x.example/openai/m/embeddings?api-version=1"),
    ],
)
def test_the_url_may_be_written_as_each_server_documents_it(given: str, posted: str) -> None:
    assert embeddings_url(given) == posted


@pytest.mark.parametrize(
    ("key", "name", "sentence"),
    [
        ("sk-wrong", MODEL, "refuses the key: check SELFMEMORY_EMBEDDING_KEY"),
        ("", MODEL, "refuses the key: check SELFMEMORY_EMBEDDING_KEY"),
        (KEY, "unknown", "does not know 'unknown': check SELFMEMORY_EMBEDDING_MODEL"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_without_the_key(
    server: Endpoint, key: str, name: str, sentence: str
) -> None:
    with pytest.raises(ModelAway, match=sentence) as refused:
        EndpointModel(server.url, name, key)
    assert "sk-" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(server.batches) == 1


def test_a_passing_failure_is_tried_again(server: Endpoint, model: EndpointModel) -> None:
    server.status, server.headers = 503, {"Retry-After": "0"}
    original = server.answer_to

    def recovering(body: dict[str, object], authorization: str) -> tuple[int, bytes]:
        answer = original(body, authorization)
        server.status = 200
        return answer

    server.answer_to = recovering  # type: ignore[method-assign]
    assert len(model.encode(TEXTS)) == 2
    assert len(server.batches) == 2


def test_after_three_failures_callers_do_not_wait_for_the_endpoint(
    server: Endpoint, model: EndpointModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = 500
    with pytest.raises(ModelAway, match="answers with status 500"):
        model.encode(TEXTS)
    with pytest.raises(ModelAway, match="failed several times"):
        model.encode(TEXTS)
    assert len(server.batches) == breaker.FAILURES + 1  # the last one asks for another text
    server.status = 200
    monkeypatch.setattr(time, "monotonic", lambda real=time.monotonic: real() + breaker.FIRST_PAUSE_SECONDS)
    assert len(model.encode(TEXTS)) == 2


def test_an_unavailable_or_slow_endpoint_is_distinguished_from_a_wrong_one(
    server: Endpoint, model: EndpointModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "ANSWER_SECONDS", 0.05)
    server.seconds = 0.2
    with pytest.raises(ModelAway, match="does not answer"):
        model.encode(TEXTS)
    with pytest.raises(ModelAway, match="does not answer"):
        EndpointModel("http://127.0.0.1:9/v1", MODEL, KEY)


def test_a_batch_that_is_too_large_for_the_server_is_halved(server: Endpoint, model: EndpointModel) -> None:
    server.most_texts = 2
    texts = [f"text {number}" for number in range(5)]
    assert np.allclose(model.encode(texts), WordEmbedder().embed(texts), atol=1e-6)


def vectors_of(*rows: object) -> bytes:
    return json.dumps({"data": [{"index": place, "embedding": row} for place, row in enumerate(rows)]}).encode()


GOOD = [0.5] * WordEmbedder.dimensions


@pytest.mark.parametrize(
    "written",
    [
        lambda row: [row],
        lambda row: base64.b64encode(np.array(row, "<f4").tobytes()).decode(),
        lambda row: list(map(str, row)),
    ],
    ids=["in a list of its own", "base64", "text"],
)
def test_vectors_are_read_in_the_forms_that_servers_use(
    server: Endpoint, model: EndpointModel, written: Callable[[list[float]], object]
) -> None:
    rows = [[1.0, *[0.0] * 63], [0.0, 1.0, *[0.0] * 62]]
    server.answer = vectors_of(*map(written, rows))
    assert model.encode(TEXTS).tolist() == rows


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"<html>Welcome</html>", "does not answer with vectors"),
        (b'{"data": "no"}', "does not answer with vectors"),
        (b'{"embeddings": [[1, 2]]}', "does not answer with vectors"),
        (b"[" * 100_000, "does not answer with vectors"),
        (vectors_of(GOOD, [0.5] * 3), "does not answer with vectors"),
        (vectors_of(GOOD, ["a"] * 64), "does not answer with vectors"),
        (vectors_of(None, None), "does not answer with vectors"),
        (vectors_of("no", "no"), "does not answer with vectors"),
        (vectors_of([0.5] * 3, [0.5] * 3), "vectors of 3 numbers, not 64"),
        (vectors_of([], []), "vectors of 0 numbers, not 64"),
        (vectors_of(GOOD), "1 vectors for 2 texts"),
        (vectors_of(GOOD, GOOD, GOOD), "3 vectors for 2 texts"),
        (vectors_of(GOOD, [float("nan")] * 64), "have no direction"),
        (vectors_of(GOOD, [float("inf")] * 64), "have no direction"),
        (vectors_of(GOOD, [0] * 64), "have no direction"),
    ],
)
def test_what_are_no_vectors_is_refused(server: Endpoint, model: EndpointModel, answer: bytes, sentence: str) -> None:
    server.answer = answer
    with pytest.raises(ModelAway, match=sentence):
        model.encode(TEXTS)


@dataclass(frozen=True)
class Caller:
    """A program that uses a server whose model is behind the endpoint."""

    client: httpx.AsyncClient

    async def add(self, *texts: str) -> None:
        answer = await self.client.post("/api/memories/batch", json={"memories": [{"content": text} for text in texts]})
        assert answer.status_code == 200, answer.text

    async def similarity(self, text: str) -> float:
        body = {"query": f"about {text}", "explain": True, "threshold": 0}
        answer = await self.client.post("/api/memories/search", json=body)
        assert answer.json()["results"][0]["content"] == text, answer.text
        return float(answer.json()["results"][0]["match"]["similarity"])

    async def embedded(self, text: str) -> None:
        with anyio.fail_after(20):
            while await self.similarity(text) < 0.1:  # noqa: ASYNC110 - another thread embeds it
                await anyio.sleep(0.05)


@asynccontextmanager
async def started(
    settings: Settings, server: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str = KEY
) -> AsyncIterator[Caller]:
    for target, name in ((worker, "CHECK_EVERY_SECONDS"), (worker, "POLL_SECONDS"), (late, "RETRY_SECONDS")):
        monkeypatch.setattr(target, name, 0.05)
    monkeypatch.setattr(late, "LONGEST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(breaker, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    server.key = key
    chosen = {"embedding_url": server.url, "embedding_model": MODEL, "embedding_key": SecretStr(KEY)}
    async with running(create_app(settings.model_copy(update=chosen))) as app:
        headers = {"Authorization": f"Bearer {key_of(settings)}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=settings.public_url, headers=headers) as client:
            yield Caller(client)


@pytest.mark.sqlite_only
async def test_memories_wait_for_an_endpoint_that_is_away(
    settings: Settings, server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(settings, server, monkeypatch, key="another") as caller:
        await caller.add("a red canoe")
        assert await caller.similarity("a red canoe") == 0
        health = (await caller.client.get("/health")).json()
        assert "EMBEDDING_KEY" in health["checks"]["embedding"]["problem"]
        assert "sk-" not in str(health)
        server.key = KEY
        await caller.embedded("a red canoe")
        server.status = 503
        await caller.add("a blue kayak")
        assert await caller.similarity("a blue kayak") == 0
        server.status = 200
        await caller.embedded("a blue kayak")


@pytest.mark.sqlite_only
@pytest.mark.parametrize("status", [400, 422, 500, 200])
async def test_a_text_that_the_endpoint_refuses_does_not_keep_the_others_from_it(
    settings: Settings, server: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async with started(settings, server, monkeypatch) as caller:
        server.status = 503
        await caller.add("a red canoe", "a quux that is refused", "a blue kayak")
        server.status, server.refused = status, "quux"
        await caller.embedded("a red canoe")
        await caller.embedded("a blue kayak")
        assert await caller.similarity("a quux that is refused") == 0


def key_of(settings: Settings) -> str:
    """Create a user with a key."""
    database = Database(settings.database_url.get_secret_value(), connections=1)
    with database.write() as session:
        user = users.register(session, "ann@example.com", "", None, verified=True)
        _, key = api_keys.issue(session, session.exec(select(Project)).one(), user.id, NewKey("all", ["read", "write"]))
    database.close()
    return key
