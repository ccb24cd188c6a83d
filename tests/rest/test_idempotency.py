"""Idempotency keys: a create request that is sent twice runs once."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from server.domain.memory import idempotency
from server.models import IdempotencyKey
from server.models.base import now
from server.storage.database import Database
from tests.rest.conftest import Caller, said

KEY = "5c8f-key"


async def test_the_same_key_and_body_get_the_first_answer(api: Caller) -> None:
    first = await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    again = await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await api.listed() == ["once"]


async def test_the_first_answer_is_repeated_after_the_memory_was_deleted(api: Caller) -> None:
    first = await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    await api.delete(f"/api/memories/{first.json()['memory_id']}")
    again = await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    assert again.json() == first.json()
    assert await api.listed() == []


@pytest.mark.parametrize("is_batch", [False, True])
async def test_the_first_answer_is_repeated_after_the_expiry_in_the_request(api: Caller, is_batch: bool) -> None:
    expires_at = now() + timedelta(seconds=0.5)
    new = {"content": "once", "expires_at": expires_at.isoformat()}
    path, body = ("/api/memories/batch", {"memories": [new]}) if is_batch else ("/api/memories", new)
    first = await api.post(path, body, Idempotency_Key=KEY)
    while now() <= expires_at:
        await api.listed()
    again = await api.post(path, body, Idempotency_Key=KEY)
    assert (again.status_code, again.json()) == (200, first.json())
    refused = await api.post(path, body, Idempotency_Key="another-key")
    field = "memories.0.expires_at" if is_batch else "expires_at"
    assert (refused.status_code, refused.json()) == (400, {"detail": f"{field}: must be in the future."})
    assert await api.listed() == []


async def test_r21_the_same_key_with_another_body_is_a_conflict(api: Caller) -> None:
    await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    for path, body in (
        ("/api/memories", said("other")),
        ("/api/memories", said("once", metadata={"tags": "x"})),
        ("/api/memories/batch", {"memories": [said("once"), said("once")]}),
        ("/api/memories/batch", {"memories": [said("once")]}),
    ):
        assert (await api.post(path, body, Idempotency_Key=KEY)).status_code == 409
    assert await api.listed() == ["once"]


async def test_a_batch_is_remembered_too(api: Caller) -> None:
    body = {"memories": [said("a"), said("b")]}
    first = await api.post("/api/memories/batch", body, Idempotency_Key=KEY)
    again = await api.post("/api/memories/batch", body, Idempotency_Key=KEY)
    assert again.json() == first.json()
    assert await api.listed() == ["b", "a"]


async def test_r21_requests_at_the_same_time_store_one_memory(api: Caller) -> None:
    sent = (api.post("/api/memories", said("once"), Idempotency_Key=KEY) for _ in range(6))
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["memory_id"] for answer in answers}) == 1
    assert await api.listed() == ["once"]


async def test_two_callers_can_use_the_same_key(api: Caller, stranger: Caller) -> None:
    await api.post("/api/memories", said("Alice's"), Idempotency_Key=KEY)
    assert (await stranger.post("/api/memories", said("Bob's"), Idempotency_Key=KEY)).status_code == 200
    assert await stranger.listed() == ["Bob's"]


async def test_a_key_can_be_used_again_after_a_day(api: Caller, database: Database) -> None:
    first = await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    with database.write() as session:
        session.execute(sa.update(IdempotencyKey).values(created_at=now() - timedelta(hours=24, seconds=1)))
    again = await api.post("/api/memories", said("other"), Idempotency_Key=KEY)
    assert again.status_code == 200
    assert again.json()["memory_id"] != first.json()["memory_id"]


async def test_a_refused_request_does_not_use_its_key(api: Caller, reader: Caller) -> None:
    assert (await api.post("/api/memories", said(""), Idempotency_Key=KEY)).status_code == 400
    assert (await reader.post("/api/memories", said("x"), Idempotency_Key=KEY)).status_code == 403
    assert (await api.post("/api/memories", said("x"), Idempotency_Key=KEY)).status_code == 200


@pytest.mark.sqlite_only
async def test_a_key_is_1_to_255_printable_characters(api: Caller) -> None:
    for key in ("", "k" * 256, "a\tb"):
        refused = await api.post("/api/memories", said("x"), Idempotency_Key=key)
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith("Idempotency-Key: ")
    assert (await api.post("/api/memories", said("x"), Idempotency_Key="k" * 255)).status_code == 200


async def test_a_request_removes_only_its_callers_expired_keys(
    api: Caller, stranger: Caller, database: Database
) -> None:
    """On Postgres, callers who delete the same rows wait for each other. Housekeeping removes the rest."""
    await api.post("/api/memories", said("once"), Idempotency_Key=KEY)
    await stranger.post("/api/memories", said("once"), Idempotency_Key=KEY)
    with database.write() as session:
        session.execute(sa.update(IdempotencyKey).values(created_at=now() - timedelta(days=2)))
    await api.post("/api/memories", said("more"), Idempotency_Key="another")
    with database.read() as session:
        kept = session.scalars(sa.select(IdempotencyKey)).all()
    assert len({key.project_id for key in kept}) == len(kept) == 2
    with database.write() as session:
        assert [idempotency.remove_expired(session) for _ in range(2)] == [1, 0]
