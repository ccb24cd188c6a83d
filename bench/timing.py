"""Times calls of several clients. Needs only the standard library, because the drivers of other programs use it too."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Timed(NamedTuple):
    results: list[Any]
    milliseconds: list[float]


def timed(call: Callable[[Any], Any], items: Sequence[Any], clients: int) -> Timed:
    """Call with each item, by as many threads as there are clients, and return all in the items' order."""
    return timed_by([call] * clients, items)


def timed_by(calls: Sequence[Callable[[Any], Any]], items: Sequence[Any]) -> Timed:
    """As `timed`, with a function for each thread."""
    results, milliseconds = [None] * len(items), [0.0] * len(items)
    places = iter(range(len(items)))
    lock, failures = threading.Lock(), list[BaseException]()

    def work(call: Callable[[Any], Any]) -> None:
        while (place := _next(places, lock)) is not None and not failures:
            began = time.perf_counter()
            try:
                results[place] = call(items[place])
            except BaseException as error:  # noqa: BLE001 - raised below
                failures.append(error)
            milliseconds[place] = (time.perf_counter() - began) * 1000

    threads = [threading.Thread(target=work, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Timed(results, milliseconds)


def rate(calls: Sequence[Callable[[Any], Any]], items: Sequence[Any]) -> float:
    """Return how many items a second the functions are called with, each in a thread of its own."""
    began = time.perf_counter()
    timed_by(calls, items)
    return len(items) / (time.perf_counter() - began)


def p50_and_p95(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def _next(places: Iterator[int], lock: threading.Lock) -> int | None:
    with lock:
        return next(places, None)
