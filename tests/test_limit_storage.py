"""The rate limits without Redis forget what has expired, and keep a bounded number of keys."""

import time
import tracemalloc
from collections.abc import Callable
from hashlib import blake2b
from itertools import count, islice
from pathlib import Path

import pytest
from limits import parse
from limits.strategies import MovingWindowRateLimiter

from server.adapters.limit_storage import ForgetfulStorage, MovingWindows
from server.adapters.shared_limits import PROBES, SLOTS, SharedWindows

START = 1_800_000_000.0

OpenStorage = Callable[[], MovingWindows]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the storage sees; move it by changing the item."""
    moment = [START]
    monkeypatch.setattr("server.adapters.limit_storage.time.time", lambda: moment[0])
    monkeypatch.setattr("server.adapters.limit_storage.time.monotonic", lambda: moment[0])
    return moment


@pytest.fixture(params=["of one process", "of several"])
def open_storage(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStorage:
    one = ForgetfulStorage()
    return (lambda: one) if request.param == "of one process" else lambda: SharedWindows(tmp_path / "limits")


def test_a_caller_cannot_choose_keys_that_drive_out_another(tmp_path: Path) -> None:
    """Keys contain the names of accounts, which an attacker chooses."""
    limiter = MovingWindowRateLimiter(SharedWindows(tmp_path / "limits"))
    rate, longer = parse("3/minute"), parse("3/day")

    def slot_of(key: str) -> int:
        return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") % SLOTS

    assert [limiter.hit(rate, "ann") for _ in range(4)] == [True, True, True, False]
    place = slot_of(rate.key_for("ann"))
    near = (name for name in map(str, count()) if (place - slot_of(longer.key_for(name))) % SLOTS < PROBES)
    for name in islice(near, 3 * PROBES):
        assert limiter.hit(longer, name)
    assert not limiter.hit(rate, "ann")


def test_a_window_moves(clock: list[float], open_storage: OpenStorage) -> None:
    limiter = MovingWindowRateLimiter(open_storage())
    rate = parse("3/minute")
    assert [limiter.hit(rate, "ann") for _ in range(4)] == [True, True, True, False]
    assert limiter.hit(rate, "ben")
    assert limiter.get_window_stats(rate, "ann").remaining == 0
    clock[0] += 65
    assert limiter.hit(rate, "ann", cost=3)
    assert not limiter.hit(rate, "ann")


@pytest.mark.parametrize("hours", [-24, 24])
def test_setting_the_clock_changes_no_window(
    clock: list[float], open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    limiter, rate = MovingWindowRateLimiter(open_storage()), parse("3/minute")
    assert [limiter.hit(rate, "ann") for _ in range(4)] == [True, True, True, False]
    monkeypatch.setattr("server.adapters.limit_storage.time.time", lambda: clock[0] + hours * 3600)
    assert not limiter.hit(rate, "ann")
    assert 0 < limiter.get_window_stats(rate, "ann").reset_time - time.time() <= 65
    clock[0] += 65
    assert [limiter.hit(rate, "ann") for _ in range(4)] == [True, True, True, False]


def test_no_window_has_more_than_the_limit_and_what_is_refused_passes_when_it_is_said_to(
    clock: list[float], open_storage: OpenStorage
) -> None:
    limiter, rate = MovingWindowRateLimiter(open_storage()), parse("5/minute")
    passed: list[float] = []
    while clock[0] < START + 600:
        if limiter.hit(rate, "ann"):
            passed.append(clock[0])
            clock[0] += 7
        else:
            clock[0] = limiter.get_window_stats(rate, "ann").reset_time
            assert limiter.test(rate, "ann")
    assert all(later - earlier >= 60 for earlier, later in zip(passed, passed[5:], strict=False))
    assert len(passed) >= 45


def test_workers_count_together(tmp_path: Path) -> None:
    one, other = (MovingWindowRateLimiter(SharedWindows(tmp_path / "limits")) for _ in range(2))
    assert [limiter.hit(parse("3/day"), "ann") for limiter in (one, other, one, other)] == [True, True, True, False]
    assert one.hit(parse("3/day"), "ben")


def test_workers_count_together_for_as_many_keys_as_there_are(tmp_path: Path) -> None:
    """A key may lose its place to another one when all places are taken, but nobody gets the hits of others."""
    limiter = MovingWindowRateLimiter(SharedWindows(tmp_path / "limits", slots=64))
    assert all(limiter.hit(parse("1/day"), f"caller {number}") for number in range(1_000))


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
