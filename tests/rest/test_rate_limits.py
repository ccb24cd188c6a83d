"""Rate limits count each credential and operation, through every door, before any work is done."""

import tracemalloc
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import ASGIApp

from server.app import create_app
from server.buckets import Bucket
from server.errors import RateLimited
from server.limits import Limits
from server.settings import Settings, read_settings
from tests.conftest import ORIGIN, Tenant
from tests.support.fakes import WordEmbedder
from tests.support.started import running

MEMORY = {"messages": [{"role": "user", "content": "I like tea."}]}
LEGACY = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    limited = {"rate_limit_enabled": True, "rate_limit_memory_add": "3/day", "rate_limit_memory_search": "2/day"}
    return settings.model_copy(update=limited)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as app:
        yield app


async def add(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/api/memories", json=MEMORY, headers=headers)


async def add_as_a_tool(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    call = {"name": "add", "arguments": {"content": "I like tea."}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    return await client.post("/mcp", json=body, headers=headers | LEGACY)


async def test_r15_too_many_requests_are_refused_with_retry_after(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert [(await add(client, alice.auth)).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = await add(client, alice.auth)
    seconds = int(refused.headers["Retry-After"])
    assert 0 < seconds <= 86_400
    assert refused.json() == {"detail": f"Too many requests: try again in {seconds} seconds."}


async def test_a_refused_request_has_no_effect(client: httpx.AsyncClient, alice: Tenant) -> None:
    for _ in range(5):
        await add(client, alice.auth)
    assert (await client.get("/api/memories", headers=alice.auth)).json()["total"] == 3


async def test_the_doors_share_one_bucket(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert (await add(client, alice.auth)).status_code == 200
    for _ in range(2):
        assert not (await add_as_a_tool(client, alice.auth)).json()["result"].get("isError")
    assert (await add(client, alice.auth)).status_code == 429
    refused = (await add_as_a_tool(client, alice.auth)).json()["result"]
    assert refused["isError"]
    assert "try again in" in refused["content"][0]["text"]


async def test_each_operation_has_its_own_bucket(client: httpx.AsyncClient, alice: Tenant) -> None:
    for _ in range(4):
        await add(client, alice.auth)
    found = [await client.post("/api/memories/search", json={"query": "tea"}, headers=alice.auth) for _ in range(3)]
    assert [answer.status_code for answer in found] == [200, 200, 429]


async def test_r15_each_credential_has_its_own_count(client: httpx.AsyncClient, alice: Tenant, bob: Tenant) -> None:
    for _ in range(4):
        await add(client, alice.auth)
    assert (await add(client, bob.auth)).status_code == 200


async def test_a_batch_counts_as_one(client: httpx.AsyncClient, alice: Tenant) -> None:
    body = {"memories": [MEMORY] * 10}
    answers = [await client.post("/api/memories/batch", json=body, headers=alice.auth) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_long_caller_names_count_in_full_but_are_not_stored_in_full(settings: Settings) -> None:
    limits = Limits(settings.model_copy(update={"rate_limit_token_failure": "1/day"}))
    names = [f"{'x' * 60_000}{number}" for number in range(100)]
    tracemalloc.start()
    for name in names:
        limits.hit(Bucket.TOKEN_FAILURE, name, "203.0.113.9")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000
    with pytest.raises(RateLimited):
        limits.hit(Bucket.TOKEN_FAILURE, names[7], "203.0.113.9")


@pytest.mark.needs("redis")
def test_workers_share_their_counts_in_redis(redis_url: str) -> None:
    chosen = read_settings(env_file=None, redis_url=redis_url, rate_limit_memory_add="2/day", public_url=ORIGIN)
    one, other = Limits(chosen), Limits(chosen)
    one.hit(Bucket.MEMORY_ADD, "key_of_this_test")
    other.hit(Bucket.MEMORY_ADD, "key_of_this_test")
    with pytest.raises(RateLimited):
        one.hit(Bucket.MEMORY_ADD, "key_of_this_test")
    one.hit(Bucket.MEMORY_ADD, "another_key_of_this_test")


def test_without_redis_each_worker_counts_alone(unused_tcp_port: int) -> None:
    url = f"redis://127.0.0.1:{unused_tcp_port}/0"
    limits = Limits(read_settings(env_file=None, redis_url=url, rate_limit_memory_add="1/day", public_url=ORIGIN))
    limits.hit(Bucket.MEMORY_ADD, "key")
    with pytest.raises(RateLimited):
        limits.hit(Bucket.MEMORY_ADD, "key")
