"""Only a few passwords are hashed at once, because each hash takes memory. Others wait for a limited time."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from server import hashing
from server.errors import Unavailable
from tests.support.browsers import sign_in


class SlowHasher:
    """Verifies nothing, slowly, and remembers how many callers were inside at the same time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def verify(self, _stored: str, _password: str) -> bool:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        threading.Event().wait(self.seconds)
        with self.lock:
            self.inside -= 1
        raise VerifyMismatchError


class RecordingHasher(PasswordHasher):
    """Remembers each hash that it compared a password with, and whether it had to compute one for that."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.compared: list[tuple[str, bool]] = []

    def verify(self, stored: str | bytes, password: str | bytes) -> Literal[True]:
        self.compared.append((str(stored), False))
        try:
            return super().verify(stored, password)
        except VerifyMismatchError:
            self.compared[-1] = (str(stored), True)
            raise


async def test_an_unknown_address_costs_as_much_as_a_wrong_password(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = RecordingHasher()
    monkeypatch.setattr(hashing, "_passwords", hasher)
    monkeypatch.setattr(hashing, "_HASH_OF_NO_PASSWORD", hashing.hash_of_no_password(hasher))
    assert (await sign_in(client, "nobody@example.com")).status_code == 401
    ((stored, was_computed),) = hasher.compared
    assert was_computed
    assert not hasher.check_needs_rehash(stored)


async def statuses_of_many(client: httpx.AsyncClient) -> Counter[int]:
    answers = await asyncio.gather(*(sign_in(client, f"a{number}@example.com") for number in range(12)))
    return Counter(answer.status_code for answer in answers)


async def test_at_most_four_passwords_are_hashed_at_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = SlowHasher(0.1)
    monkeypatch.setattr(hashing, "_passwords", hasher)
    assert await statuses_of_many(client) == {401: 12}
    assert 1 <= hasher.most <= 4


async def test_a_caller_who_waits_too_long_gets_a_retry_after(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_passwords", SlowHasher(1))
    monkeypatch.setattr("server.waits.WAIT_SECONDS", 0.1)
    statuses = await statuses_of_many(client)
    assert statuses[401] >= 1
    assert statuses[503] >= 1


def test_hashing_is_limited_for_every_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = SlowHasher(0.1)
    monkeypatch.setattr(hashing, "_passwords", hasher)
    with ThreadPoolExecutor(12) as threads:
        assert not any(threads.map(lambda _number: hashing.password_matches("stored", "password"), range(12)))
    assert hasher.most == 3


def test_a_hash_that_waits_too_long_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_passwords", SlowHasher(1))
    monkeypatch.setattr("server.waits.WAIT_SECONDS", 0.1)
    with ThreadPoolExecutor(12) as threads:
        futures = [threads.submit(hashing.password_matches, "stored", "password") for _ in range(12)]
    assert Counter(type(future.exception()) for future in futures) == {type(None): 3, Unavailable: 9}
