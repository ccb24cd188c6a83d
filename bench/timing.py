"""Times calls of several clients. Needs only the standard library, because the drivers of other programs use it too."""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

TURN_CALLS = 20


class Timed(NamedTuple):
    results: list[Any]
    milliseconds: list[float]


def timed(call: Callable[[Any], Any], items: Sequence[Any], clients: int) -> Timed:
    """Call with each item, by as many threads as there are clients, and return all in the items' order."""
    return timed_by([call] * clients, items)


def timed_by(calls: Sequence[Callable[[Any], Any]], items: Sequence[Any]) -> Timed:
    """As `timed`, with a function for each thread."""
    results, milliseconds = [None] * len(items), [0.0] * len(items)
    places = iter(range(len(items)))  # threads can share it, because each step is a single operation

    def work(call: Callable[[Any], Any]) -> None:
        for place in places:
            began = time.perf_counter()
            results[place] = call(items[place])
            milliseconds[place] = (time.perf_counter() - began) * 1000

    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(work, calls))
    return Timed(results, milliseconds)


def rate(calls: Sequence[Callable[[Any], Any]], items: Sequence[Any]) -> float:
    """Return how many items a second the functions are called with, each in a thread of its own."""
    began = time.perf_counter()
    timed_by(calls, items)
    return len(items) / (time.perf_counter() - began)


def in_turn(calls: Sequence[Callable[[str], object]], texts: Callable[[], str], seconds: float) -> list[list[float]]:
    """Return the milliseconds of each call, alternating every `TURN_CALLS` so that none has cold caches."""
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 2 * TURN_CALLS:
        for call, spent in zip(calls, times, strict=True):
            for text in [texts() for _ in range(TURN_CALLS)]:
                began = time.perf_counter()
                call(text)
                spent.append((time.perf_counter() - began) * 1000)
    return times


def p50_and_p95(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
