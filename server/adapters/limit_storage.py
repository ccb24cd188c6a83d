"""Stores rate limits without Redis: moving windows in memory, for a bounded number of keys.

Its times come from the monotonic clock, so that no window lasts longer when somebody sets the computer's clock.

The storage of the `limits` package keeps every key that it ever saw and scans all of them at each hit (version 5.8).
"""

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, NoReturn

from limits.storage import MovingWindowSupport, Storage

MAX_KEYS = 100_000
"""Maximum number of keys, about 50 MB. Above it, the key that was hit longest ago is removed."""
SWEEP_SECONDS = 60
"""How many seconds after the last removal of expired keys the next hit removes them again."""


@dataclass(slots=True)
class Window:
    """The hits of one key, oldest first, each with its cost; `total` is the sum of the costs."""

    hits: deque[tuple[float, int]] = field(default_factory=deque)
    total: int = 0
    expires: float = 0.0

    def drop_until(self, moment: float) -> None:
        while self.hits and self.hits[0][0] <= moment:
            self.total -= self.hits.popleft()[1]


def _unused(*_arguments: Any, **_named: Any) -> NoReturn:
    raise NotImplementedError


class MovingWindows(Storage, MovingWindowSupport):
    """A storage for moving windows. The library also requires the methods of fixed windows, which nothing uses."""

    STORAGE_SCHEME = None
    base_exceptions = ValueError
    incr = get = get_expiry = check = reset = clear = _unused


class ForgetfulStorage(MovingWindows):
    """Implements the two methods that `MovingWindowRateLimiter` uses. Thread-safe."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        super().__init__()
        self._max_keys = max_keys
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._next_sweep = time.monotonic() + SWEEP_SECONDS

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits and return True, unless there would be more than `limit` within `expiry` seconds."""
        with self._lock:
            now = time.monotonic()
            self._sweep(now)
            window = self._window(key, now - expiry)
            if window.total + amount > limit:
                return False
            window.hits.append((now, amount))
            window.total += amount
            window.expires = now + expiry
            self._windows[key] = window
            self._windows.move_to_end(key)
            if len(self._windows) > self._max_keys:
                self._windows.popitem(last=False)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the base's
        """Return when the oldest hit of the window happened, and the sum of its hits."""
        with self._lock:
            now = time.monotonic()
            window = self._window(key, now - expiry)
            return as_wall_time(window.hits[0][0] if window.hits else now), window.total

    def _window(self, key: str, since: float) -> Window:
        window = self._windows.get(key) or Window()
        window.drop_until(since)
        return window

    def _sweep(self, now: float) -> None:
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_SECONDS
        for key in [key for key, window in self._windows.items() if window.expires <= now]:
            del self._windows[key]

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._windows)


def as_wall_time(moment: float) -> float:
    """Return this moment of the monotonic clock as the library counts time."""
    return moment - time.monotonic() + time.time()
