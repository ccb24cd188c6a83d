"""The rows of API keys: how often a key was used."""

import httpx
import pytest

from server.domain.memory import assistants
from tests.dashboard.test_keys_and_account import create_key
from tests.support.visitors import Visitor


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def list_memories(client: httpx.AsyncClient, key: str) -> int:
    return (await client.get("/api/memories", headers=bearer(key))).status_code


async def test_a_row_counts_the_uses_of_its_key_alone(ann: Visitor, client: httpx.AsyncClient) -> None:
    used, unused = await create_key(ann, name="Laptop"), await create_key(ann, name="Phone")
    await ann.remember("By another key.")
    await ann.remember("By another key, too.")
    for query in ("tea", "coffee"):
        found = await client.post("/api/memories/search", json={"query": query}, headers=bearer(used))
        assert found.status_code == 200
    page = await ann.see(f"{ann.project}/keys")
    assert page.count("Used 2 times in the last 30 days, last just now") == 2  # the tenant's key, and this one
    assert page.count("Never used") == 2  # the tenant's other key, and the phone's
    assert await list_memories(client, unused) == 200
    assert "Used 1 time in the last 30 days" in await ann.see(f"{ann.project}/keys")


async def test_more_uses_than_are_counted_are_at_least_so_many(
    ann: Visitor, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await create_key(ann)
    await ann.remember("By another key, and too long ago to count.")
    for query in ("tea", "coffee", "milk"):
        await client.post("/api/memories/search", json={"query": query}, headers=bearer(key))
    monkeypatch.setattr(assistants, "MOST_USES", 3)
    page = await ann.see(f"{ann.project}/keys")
    assert page.count("Used at least 3 times in the last 30 days") == 1
    assert page.count("Last used") == 1


@pytest.mark.settings(activity_days=0)
async def test_nothing_is_counted_without_activity(ann: Visitor, client: httpx.AsyncClient) -> None:
    assert await list_memories(client, await create_key(ann)) == 200
    page = await ann.see(f"{ann.project}/keys")
    assert "Last used" in page
    assert "times in" not in page
