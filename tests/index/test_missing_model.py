"""While the model is unavailable, memories are stored and found by their words; afterwards also by their meaning."""

import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from sqlmodel import select
from starlette.types import ASGIApp

from server.app import create_app
from server.index.exact import matrix_cache
from server.index.model import late
from server.index.model.batching import BatchingEmbedder
from server.index.model.embeddings import Embedder
from server.index.model.failures import ModelAway, ModelUnusable, VectorsRefused
from server.index.model.late import LateModel
from server.index.model.prompts import NO_PROMPTS
from server.index.types import Vectors
from server.index.upkeep import worker
from server.models import Memory, ProjectIndex
from server.settings import Settings
from tests.conftest import Tenant
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.world import World, eventually, opened

MISSING = "The model is missing: put it there."


class Words(WordEmbedder):
    """A model that can be missing at the start and go away later."""

    prompts = NO_PROMPTS
    threads = 2
    batch_size = 4

    def __init__(self) -> None:
        self.is_there = threading.Event()
        self.is_away = False

    def load(self) -> "Words":
        if not self.is_there.is_set():
            raise ModelUnusable(MISSING)
        return self

    def encode(self, texts: Sequence[str], /) -> Vectors:
        if self.is_away:
            raise ModelAway
        return self.embed(texts)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(late, "LONGEST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)


@pytest.fixture
def words() -> Words:
    return Words()


@pytest.fixture
async def app(settings: Settings, words: Words) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: BatchingEmbedder(LateModel(words.load, 2)))) as app:
        yield app


async def test_a_server_without_its_model_starts_and_takes_it_up_when_it_appears(
    client: httpx.AsyncClient, alice: Tenant, words: Words
) -> None:
    def body(text: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": text}]}

    async def found() -> list[dict[str, Any]]:
        answer = await client.post("/api/memories/search", json={"query": "the red canoe"}, headers=alice.auth)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    assert (await client.post("/api/memories", json=body("a red canoe"), headers=alice.auth)).status_code == 200
    batch = {"memories": [body("the blue kayak"), body("a green tent " * 400)]}
    assert (await client.post("/api/memories/batch", json=batch, headers=alice.auth)).status_code == 200
    assert [result["content"] for result in await found()][:1] == ["a red canoe"]
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["embedding"]["problem"] == MISSING
    assert (await client.get("/health/ready")).status_code == 200
    words.is_there.set()

    async def is_whole() -> bool:
        healthy = (await client.get("/health")).json()["status"] == "healthy"
        return healthy and bool((await found())[0]["score"] > 0.5)

    with anyio.fail_after(20):
        while not await is_whole():
            await anyio.to_thread.run_sync(threading.Event().wait, 0.05)


def models(world: World) -> list[str]:
    with world.database.read() as session:
        return list(session.exec(select(Memory.embedding_model)))


@pytest.mark.parametrize("limit", [5000, 0])
def test_memories_that_came_while_the_model_was_away_are_embedded_afterwards(
    settings: Settings, words: Words, limit: int
) -> None:
    words.is_there.set()
    settings = settings.model_copy(update={"exact_scan_limit": limit})
    with opened(settings, BatchingEmbedder(LateModel(words.load, 2))) as world:
        before = world.add("a blue kayak")
        changed = world.add("a wooden paddle")
        eventually(lambda: world.index.work is None)
        words.is_away = True
        world.add("a red canoe")
        world.update(changed, "a carbon paddle")
        assert world.texts("a red canoe")[0] == "a red canoe"
        assert world.texts("carbon paddle")[0] == "a carbon paddle"
        assert world.found("a blue kayak")[0].similarity == 0
        assert set(models(world)) == {"", "words/test"}
        world.delete(before)
        words.is_away = False
        eventually(lambda: set(models(world)) == {"words/test"})
        assert world.found("a red canoe")[0].similarity > 0.5
        assert world.found("a carbon paddle")[0].similarity > 0.5
        eventually(lambda: world.index.work is None)


@pytest.mark.parametrize(
    "wrong", [np.full((1, 64), np.nan), np.full((1, 64), np.inf), np.zeros((1, 64)), np.ones((1, 63)), np.ones(64)]
)
def test_what_is_no_vector_is_refused(words: Words, wrong: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Words, "encode", lambda _self, _texts: wrong.astype(np.float32))
    embedder = BatchingEmbedder(words)
    with pytest.raises(VectorsRefused, match="invalid vector"):
        embedder.embed(["a red canoe"])
    embedder.close()


def test_the_log_says_why_a_model_cannot_be_loaded_and_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    def load() -> Words:
        tries.append(1)
        raise ZeroDivisionError("a damaged file")

    model = LateModel(load, 2)
    eventually(lambda: len(tries) > 2)
    model.close()
    assert caplog.text.count("ZeroDivisionError: a damaged file") == 1


def test_a_server_without_its_model_keeps_the_collections(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longer the vectors, the smaller is a project that gets a collection."""
    monkeypatch.setattr(matrix_cache, "LARGE_PROJECT_BYTES", 10 * 4 * embedder.dimensions)
    settings = settings.model_copy(update={"exact_scan_limit": 100})
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(40)])
        eventually(lambda: collection_of(before) is not None)
        collection = collection_of(before)
    with opened(settings, BatchingEmbedder(LateModel(Words().load, 2))) as after:
        eventually(lambda: after.index._worker._check_at > 0)  # after the first sweep
        assert collection_of(after) == collection


def test_a_model_that_was_missing_is_not_available_during_the_next_check(settings: Settings) -> None:
    seen: list[bool] = []

    class Away(WordEmbedder):
        def embed(self, _texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
            seen.append(world.index.state().has_model)
            raise ModelAway

    with opened(settings, Away()) as world:
        world.index.health()
        seen.clear()
        world.index.health()
    assert seen == [False]


def collection_of(world: World) -> str | None:
    with world.database.read() as session:
        row = session.get(ProjectIndex, world.project_id)
        return row.collection if row and row.ready_at else None
