"""Rate limits: counted for each person in a project and operation, through any door, before the work, by its size."""

import math
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from server.adapters.limits import Limits
from server.app import create_app
from server.buckets import Bucket
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.errors import RateLimited
from server.models import Project
from server.settings import Settings, read_settings
from server.storage.database import Database
from tests.conftest import ORIGIN, Tenant
from tests.rest.conftest import Caller
from tests.support.fakes import WordEmbedder
from tests.support.started import running

pytestmark = pytest.mark.sqlite_only

MEMORY = {"messages": [{"role": "user", "content": "I like tea."}]}
LEGACY = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    limited = {
        "rate_limit_enabled": True,
        "rate_limit_memory_add": "3/day",
        "rate_limit_memory_search": "2/day",
        "rate_limit_memory_change": "5/day",
    }
    return settings.model_copy(update=limited)


async def add(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/api/memories", json=MEMORY, headers=headers)


async def add_as_a_tool(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    call = {"name": "add_memory", "arguments": {"content": "I like tea."}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    return await client.post("/mcp", json=body, headers=headers | LEGACY)


async def test_r15_too_many_requests_are_refused_with_retry_after(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert [(await add(client, alice.auth)).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = await add(client, alice.auth)
    seconds = int(refused.headers["Retry-After"])
    assert 0 < seconds <= 86_400
    assert refused.json() == {"detail": f"Too many requests: try again in {math.ceil(seconds / 3600)} hours."}


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (3_541, "60 minutes"), (7_201, "3 hours")],
)
def test_a_refusal_says_the_time_in_a_unit_that_people_count_in(seconds: int, wait: str) -> None:
    assert RateLimited(seconds, "request").detail == f"Too many requests: try again in {wait}."


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


async def test_r15_each_person_counts_for_itself(client: httpx.AsyncClient, alice: Tenant, bob: Tenant) -> None:
    for _ in range(4):
        await add(client, alice.auth)
    assert (await add(client, bob.auth)).status_code == 200


def batch(count: int) -> dict[str, object]:
    return {"memories": [MEMORY] * count}


async def test_a_batch_counts_its_memories(client: httpx.AsyncClient, alice: Tenant) -> None:
    async def send(count: int) -> int:
        answer = await client.post("/api/memories/batch", json=batch(count), headers=alice.auth)
        return answer.status_code

    assert [await send(2), await send(2), await send(1), await send(1)] == [200, 429, 200, 429]


async def test_a_batch_larger_than_its_limit_passes_once(client: httpx.AsyncClient, alice: Tenant) -> None:
    answers = [await client.post("/api/memories/batch", json=batch(10), headers=alice.auth) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert (await add(client, alice.auth)).status_code == 429, "it leaves the bucket empty"


async def test_a_batch_larger_than_its_limit_needs_a_full_bucket(client: httpx.AsyncClient, alice: Tenant) -> None:
    await add(client, alice.auth)
    answer = await client.post("/api/memories/batch", json=batch(10), headers=alice.auth)
    assert answer.status_code == 429
    assert (await add(client, alice.auth)).status_code == 200, "what is refused takes nothing"


async def test_all_credentials_of_a_person_count_together(
    client: httpx.AsyncClient, alice: Tenant, database: Database, signed_in: Callable[[Tenant], Caller]
) -> None:
    with database.write() as session:
        project = session.get_one(Project, alice.project_id)
        _, another = api_keys.issue(session, project, alice.user_id, NewKey("another", ["read", "write"]))
    person = signed_in(alice)
    answers = [
        await add(client, alice.auth),
        await add(client, {"Authorization": f"Bearer {another}"}),
        await person.post("/api/memories", MEMORY | {"project_id": alice.project_id}),
        await add(client, alice.auth),
        await person.post("/api/memories", MEMORY | {"project_id": alice.project_id}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]


async def test_changes_and_deletions_count_their_pieces(api: Caller) -> None:
    """The limit of these tests is five a day."""
    first, second = await api.add("I like tea."), await api.add("I like coffee.")
    sentences = "The kayak is red. The canoe is blue. The raft is green."
    assert (await api.put(f"/api/memories/{first}", {"text": sentences})).status_code == 200
    assert (await api.put(f"/api/memories/{first}", {"metadata": {"title": "Boats"}})).status_code == 429
    assert (await api.put(f"/api/memories/{first}", {"metadata": {"tags": "boats"}})).status_code == 200
    assert (await api.delete(f"/api/memories/{second}")).status_code == 200
    assert (await api.delete(f"/api/memories/{first}")).status_code == 429


async def test_a_change_larger_than_its_limit_passes_once(api: Caller) -> None:
    memory_id = await api.add("I like tea.")
    text = " ".join(f"Sentence {number} is about a boat." for number in range(9))
    assert (await api.put(f"/api/memories/{memory_id}", {"text": text})).status_code == 200
    assert (await api.put(f"/api/memories/{memory_id}", {"metadata": {"a": 1}})).status_code == 429


async def test_a_body_is_refused_before_it_is_read(client: httpx.AsyncClient, alice: Tenant) -> None:
    for _ in range(3):
        await add(client, alice.auth)
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"{}"

    headers = alice.auth | {"Content-Type": "application/json"}
    for path in ("/api/memories", "/api/memories/batch"):
        answer = await client.post(path, content=body(), headers=headers)
        assert answer.status_code == 429
    assert read == 0


async def test_all_requests_together_are_limited(
    settings: Settings, make_tenant: Callable[[str], Tenant], app: ASGIApp
) -> None:
    alice, bob = make_tenant("alice@example.com"), make_tenant("bob@example.com")
    few = settings.model_copy(update={"rate_limit_request": "4/day"})
    async with running(create_app(few, lambda _settings: WordEmbedder())) as limited:
        transport = httpx.ASGITransport(limited, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            doors = ("/api/memories", "/api/users/me", "/api/projects", "/v1/stats")
            assert {(await client.get(path, headers=alice.auth)).status_code for path in doors} == {200}
            assert (await client.get("/api/users/me", headers=alice.read_auth)).status_code == 429
            assert (await add_as_a_tool(client, alice.auth)).status_code == 429
            assert (await client.get("/api/users/me", headers=bob.auth)).status_code == 200
            strangers = ["/docs", "/sign-in", "/.well-known/oauth-authorization-server", "/api/memories"]
            assert 429 not in [(await client.get(path)).status_code for path in strangers]
            wrong = {"Authorization": "Bearer wrong"}
            for path, headers in (
                ("/docs", {}),
                ("/docs", wrong),
                ("/sign-in", {}),
                ("/health", wrong),
                ("/v1/health", wrong),
                ("/api/memories", {}),
                ("/api/memories", wrong),
                ("/api/memories", {"Authorization": "Basic wrong"}),
                ("/dashboard", {"Authorization": "Basic wrong"}),
                ("/mcp", wrong | {"X-API-Key": "other"}),
            ):
                answer = await client.get(path, headers=headers)
                assert answer.status_code == 429, path
                assert int(answer.headers["Retry-After"]) > 0
            elsewhere = {"Cookie": f"{few.session_cookie}=wrong", "Sec-Fetch-Site": "cross-site"}
            assert (await client.post("/dashboard/account/name", headers=elsewhere)).status_code == 429
            assert (await client.get("/api/users/me", headers=bob.auth)).status_code == 200
            for probe in ("/health/live", "/health/ready", "/health/live/"):
                for headers in ({}, wrong):
                    assert (await client.get(probe, headers=headers)).status_code == 200, probe


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


@pytest.mark.parametrize("count", [1, 2, 4])
def test_attempts_at_the_same_moment_in_several_workers_stay_within_the_limit(tmp_path: Path, count: int) -> None:
    """A worker does not see what is in progress in the others, and assumes as much as in itself."""
    chosen = read_settings(env_file=None, workers=count, rate_limit_sign_in="10/minute", public_url=ORIGIN)
    (tmp_path / "shared").mkdir()
    workers = [Limits(chosen, str(tmp_path / "shared")) for _ in range(count)]
    rules = [workers[0].rule(Bucket.SIGN_IN, "ann")]
    begun = 0
    for worker in [worker for worker in workers for _ in range(20)]:
        with suppress(RateLimited):
            worker.begin(rules)
            begun += 1
    assert 10 <= begun < 10 + count
    for _ in range(9):
        workers[0].fail(rules)
    last = Limits(chosen, str(tmp_path / "shared"))
    last.begin(rules)
    last.end(rules)
    last.fail(rules)
    with pytest.raises(RateLimited):
        last.begin(rules)


@pytest.mark.parametrize("count", [8, 64])
def test_a_form_that_is_sent_twice_is_two_attempts_also_with_many_workers(tmp_path: Path, count: int) -> None:
    """Somebody who clicked twice saw only the second answer: that there were too many attempts."""
    chosen = read_settings(env_file=None, workers=count, rate_limit_sign_in="5/minute", public_url=ORIGIN)
    (tmp_path / "shared").mkdir()
    workers = [Limits(chosen, str(tmp_path / "shared")) for _ in range(2)]
    rules = [workers[0].rule(Bucket.SIGN_IN, "ann")]
    for worker in workers:
        worker.begin(rules)
        worker.begin(rules)
        with pytest.raises(RateLimited):
            worker.begin(rules)
    for _ in range(4):
        workers[1].fail(rules)
    with pytest.raises(RateLimited):
        workers[0].begin(rules)


async def test_a_request_that_one_of_several_rates_refuses_counts_in_none(
    settings: Settings, make_tenant: Callable[[str], Tenant], app: ASGIApp
) -> None:
    alice = make_tenant("alice@example.com")
    both = settings.model_copy(update={"rate_limit_memory_add": "3/day;1/minute"})
    async with (
        running(create_app(both, lambda _settings: WordEmbedder())) as limited,
        httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url=ORIGIN) as client,
    ):
        answers = [await add_as_a_tool(client, alice.auth) for _ in range(4)]
        assert [answer.json()["result"].get("isError", False) for answer in answers] == [False, True, True, True]
        refused = await add(client, alice.auth)
        assert 0 < int(refused.headers["Retry-After"]) <= 60, "only the rate per minute is used up"


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
