"""Stops calling a service for a while after several failures in a row."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.index.model.failures import ModelAway

FAILURES = 3
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(slots=True)
class Attempt:
    succeeded: bool = False


class Breaker:
    """Counts failures in a row. After `FAILURES`, only one attempt is allowed per pause, and the pauses double."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Let the block try. It sets `succeeded` on success. Raises ModelAway at once during a pause."""
        with self._lock:
            if self._failures >= FAILURES:
                if time.monotonic() < self._closed_until:
                    raise ModelAway("The embedding endpoint failed several times. It will be tried again soon.")
                self._closed_until = time.monotonic() + self._pause()  # the others wait for this attempt
        attempt = Attempt()
        try:
            yield attempt
        finally:
            self._count(attempt.succeeded)

    def reset(self) -> None:
        """Forget the failures: the service works."""
        self._count(True)

    def _count(self, succeeded: bool) -> None:
        with self._lock:
            self._failures = 0 if succeeded else self._failures + 1
            self._closed_until = time.monotonic() + self._pause()

    def _pause(self) -> float:
        doublings = min(max(self._failures - FAILURES, 0), 10)
        return min(FIRST_PAUSE_SECONDS * 2.0**doublings, LONGEST_PAUSE_SECONDS)
