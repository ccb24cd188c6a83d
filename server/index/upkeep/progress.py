"""Tracks how far the worker's job has come, and how long it will still take."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from server.plurals import count

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 60.0
"""The minimum time between two log lines about one job."""

LEAST_SECONDS = 2.0
"""A job must run for this long before the time left can be estimated from its pace."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `whole` steps of a job. `left` is roughly how many seconds the rest takes, if known."""

    work: str
    done: int
    whole: int
    left: float | None = None

    def __str__(self) -> str:
        share = f"{self.work} {100 * self.done // max(self.whole, 1)}%"
        return share if self.left is None else f"{share}, about {duration(self.left)} left"


def duration(seconds: float) -> str:
    """Return the duration as people say it: "40 seconds", "12 minutes"."""
    for size, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return count(max(round(seconds), 1), "second")


def watched(job: Iterator[Progress], clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Yield the job's steps with the time left. Log the first, the last, and one every `LOG_EVERY_SECONDS`."""
    due, unlogged, first, began = 0.0, None, None, clock()
    for step in job:
        moment = clock()
        first = step if first is None else first
        step = _with_time_left(step, step.done - first.done, moment - began)
        unlogged = step
        if moment >= due:
            due, unlogged = moment + LOG_EVERY_SECONDS, None
            _log(step)
        yield step
    if unlogged:
        _log(unlogged)


def _with_time_left(step: Progress, done: int, seconds: float) -> Progress:
    if done <= 0 or seconds < LEAST_SECONDS:
        return step
    return replace(step, left=(step.whole - step.done) * seconds / done)


def _log(step: Progress) -> None:
    left = {} if step.left is None else {"left": duration(step.left)}
    log.info("background work", extra={"work": step.work, "done": step.done, "whole": step.whole, **left})
