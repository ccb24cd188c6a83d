"""The rate limits without Redis forget what has expired, and keep a bounded number of keys."""

import time
import tracemalloc

import pytest
from limits import parse
from limits.strategies import MovingWindowRateLimiter

from server.limit_storage import ForgetfulStorage


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the storage sees; move it by changing the item."""
    moment = [time.time()]
    monkeypatch.setattr("server.limit_storage.time.time", lambda: moment[0])
    return moment


def test_a_window_moves(clock: list[float]) -> None:
    limiter = MovingWindowRateLimiter(ForgetfulStorage())
    rate = parse("3/minute")
    assert [limiter.hit(rate, "ann") for _ in range(4)] == [True, True, True, False]
    assert limiter.hit(rate, "ben")
    assert limiter.get_window_stats(rate, "ann").remaining == 0
    clock[0] += 61
    assert limiter.hit(rate, "ann", cost=3)
    assert not limiter.hit(rate, "ann")


def test_expired_keys_cost_nothing_and_leave_the_memory(clock: list[float]) -> None:
    storage = ForgetfulStorage()
    limiter = MovingWindowRateLimiter(storage)
    rate = parse("3/minute")
    tracemalloc.start()
    for number in range(20_000):
        limiter.hit(rate, f"caller {number}")
    clock[0] += 120
    limiter.hit(rate, "ann")
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(storage) == 1
    assert kept < 2_000_000


def test_the_number_of_keys_is_bounded(clock: list[float]) -> None:
    storage = ForgetfulStorage(max_keys=10)
    limiter = MovingWindowRateLimiter(storage)
    for number in range(100):
        limiter.hit(parse("3/minute"), f"caller {number}")
    assert len(storage) == 10
