"""With an idle model, simultaneous requests of several callers are neither lost nor run twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from starlette.types import ASGIApp

from server.app import create_app
from server.index.model.batching import BatchingEmbedder
from server.index.model.prompts import NO_PROMPTS
from server.index.types import Vectors
from server.settings import Settings
from tests.rest.conftest import Caller
from tests.support.fakes import WordEmbedder
from tests.support.started import running


class Words(WordEmbedder):
    """A model that needs a few milliseconds, in which other requests run."""

    prompts = NO_PROMPTS
    threads = 8
    batch_size = 1

    def encode(self, texts: Sequence[str], /) -> Vectors:
        until = time.monotonic() + 0.01
        while time.monotonic() < until:
            pass
        return self.embed(texts)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: BatchingEmbedder(Words()))) as app:
        yield app


async def test_patches_at_the_same_moment_lose_nothing(api: Caller) -> None:
    for turn in range(4):
        memory_id = await api.add(f"first {turn}", metadata={"k": 0})
        patches = [{"content": f"text {turn} {n}", "metadata": {f"k{n}": n}} for n in range(4)]
        answers = await asyncio.gather(*(api.send("PATCH", f"/api/memories/{memory_id}", patch) for patch in patches))
        assert {answer.status_code for answer in answers} <= {200, 503}
        done = {f"k{n}" for n, answer in enumerate(answers) if answer.status_code == 200}
        stored = (await api.get(f"/api/memories/{memory_id}")).json()["metadata"]
        assert done <= set(stored)


async def test_the_same_text_remembered_at_the_same_moment_is_one_memory(api: Caller) -> None:
    headers = {**api.headers, "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}

    async def remember(text: str) -> str:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        params = {"name": "add_memory", "arguments": {"content": text}}
        answer = await api.client.post("/mcp", json={**call, "params": params}, headers=headers)
        return str(answer.json()["result"]["structuredContent"]["memory_id"])

    for turn in range(4):
        ids = await asyncio.gather(*(remember(f"Anna likes tea {turn}") for _ in range(4)))
        assert len(set(ids)) == 1
