"""A restored version of several messages is a text that is longer than one message."""

import pytest

from tests.dashboard.test_exchange import import_all
from tests.support.visitors import Visitor, hidden, seen


async def restored(ann: Visitor) -> str:
    messages = [{"role": "user", "content": f"{number}. " + "tea " * 2_000} for number in range(3)]
    path = f"/api/memories/{await remember(ann, messages)}"
    for method, address, body in (("PUT", path, {"text": "Tea."}), ("POST", f"{path}/restore", {"version": 1})):
        answer = await ann.client.request(method, address, json=body, headers=ann.tenant.auth)
        assert answer.status_code == 200, answer.text
    return path.removeprefix("/api/memories/")


async def remember(ann: Visitor, messages: list[dict[str, str]]) -> str:
    added = await ann.client.post("/api/memories", json={"messages": messages}, headers=ann.tenant.auth)
    return str(added.json()["memory_id"])


async def contents(visitor: Visitor) -> list[str]:
    listed = await visitor.client.get("/api/memories", headers=visitor.tenant.auth)
    return [memory["content"] for memory in listed.json()["results"]]


async def test_it_can_be_deleted_and_brought_back(ann: Visitor) -> None:
    memory_id = await restored(ann)
    before = await contents(ann)
    deleted = await ann.post(f"/dashboard/memories/{memory_id}/delete")
    assert "Memory deleted" in seen(deleted)
    await ann.do(f"{ann.project}/memories/restore", {"kept": hidden(deleted, "kept")})
    assert await contents(ann) == before


@pytest.mark.parametrize("format_", ["jsonl", "markdown", "csv"])
async def test_an_export_of_it_can_be_imported(ann: Visitor, ben: Visitor, format_: str) -> None:
    await restored(ann)
    exported = await ann.get(f"{ann.project}/export?format={format_}")
    assert "1 memory imported" in seen(await import_all(ben, exported.content))
    assert await contents(ben) == await contents(ann)
