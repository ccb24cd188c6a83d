"""A restored version of several messages is a text that is longer than one message."""

import re

import httpx
import pytest

from tests.dashboard.test_exchange import import_all
from tests.support.browsers import fresh, sign_up
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
    deleted = await ann.shown(f"/dashboard/memories/{memory_id}/delete")
    assert "Memory deleted" in seen(deleted)
    await ann.do(f"{ann.project}/memories/restore", {"kept": hidden(deleted, "kept")})
    assert await contents(ann) == before


@pytest.mark.parametrize("format_", ["jsonl", "markdown", "csv"])
async def test_an_export_of_it_can_be_imported(ann: Visitor, ben: Visitor, format_: str) -> None:
    await restored(ann)
    exported = await ann.get(f"{ann.project}/export?format={format_}")
    assert "1 memory imported" in seen(await import_all(ben, exported.content))
    assert await contents(ben) == await contents(ann)


async def test_no_field_cuts_what_is_pasted_where_that_is_not_seen(ann: Visitor, client: httpx.AsyncClient) -> None:
    stranger = fresh(client)
    await sign_up(client)
    pages = (ann, f"{ann.project}/memories/new"), (client, "/dashboard/account"), (stranger, "/sign-up")
    for visitor, path in pages:
        fields = re.findall(r'<textarea[^>]*>|<input[^>]*"password"[^>]*>', (await visitor.get(path)).text)
        assert fields
        assert [field for field in fields if "maxlength" in field] == []


async def test_a_text_that_is_too_long_is_kept_and_refused_with_both_lengths(ann: Visitor) -> None:
    text = "User: tea?\nAssistant: tea.\n" * 600
    refused = await ann.post(f"{ann.project}/memories/new", {"text": text})
    assert refused.status_code == 400
    assert "16,200" in seen(refused)
    assert "10,000" in seen(refused)
    assert refused.text.count("User: tea?") == 600
