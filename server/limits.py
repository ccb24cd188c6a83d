"""Rate limits: one bucket an operation, counted in this process, or in Redis for several workers."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter as Window

from server.buckets import Bucket
from server.errors import RateLimited
from server.hashing import token_hash
from server.limit_storage import ForgetfulStorage
from server.settings import Settings

log = logging.getLogger(__name__)

AWAY_SECONDS = 5
"""Seconds without another try after Redis failed, so that not every request waits for it."""

LONGEST_KEY = 64
"""Characters of a key's part. Longer ones are hashed: callers choose them, and the limiter keeps them in memory."""


class Limits:
    """Counts hits by (bucket, key). A key is a person and a project, or a client address.

    While Redis is unreachable each process counts alone: a limit must neither stop the service nor vanish.
    """

    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.rate_limit_enabled
        self._own = Window(ForgetfulStorage())
        url = settings.redis_url.get_secret_value()
        self._shared = _in_redis(url) if url else None
        self._away_until = 0.0
        self._rates: dict[Bucket, list[RateLimitItem]] = {
            bucket: parse_many(getattr(settings, f"rate_limit_{bucket.value}")) for bucket in Bucket
        }

    @property
    def may_block(self) -> bool:
        """Whether counting may wait for Redis. If so, count on a worker thread."""
        return self._enabled and self._shared is not None

    def hit(self, bucket: Bucket, *key: str, cost: int = 1, times: int = 1) -> None:
        """Count work of the size `cost` before it is done.

        Raises RateLimited above `times` the rate, and counts nothing then. May block on Redis, see `may_block`.

        Work larger than the whole rate passes if nothing was counted before, and uses the rate up.
        """
        self._count(partial(self._hit, bucket=bucket, key=_short(key), cost=cost, times=times))

    def require_room(self, bucket: Bucket, *key: str) -> None:
        """Raises RateLimited if not even work of size 1 would pass now. Counts nothing."""
        self._count(partial(self._require_room, bucket=bucket, key=_short(key)))

    def _count(self, count: Callable[[Window], None]) -> None:
        if not self._enabled:
            return
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                count(self._shared)
            except StorageError as error:
                log.warning("redis is unreachable", extra={"reason": type(error.storage_error).__name__})
                self._away_until = time.monotonic() + AWAY_SECONDS
            else:
                return
        count(self._own)

    def _hit(self, window: Window, bucket: Bucket, key: Sequence[str], cost: int, times: int) -> None:
        for each in self._rates[bucket]:
            rate = type(each)(each.amount * times, each.multiples, each.namespace)
            if not window.hit(rate, bucket.value, *key, cost=min(cost, rate.amount)):
                raise _refusal(window, rate, bucket, key, cost)

    def _require_room(self, window: Window, bucket: Bucket, key: Sequence[str]) -> None:
        for rate in self._rates[bucket]:
            if not window.test(rate, bucket.value, *key):
                raise _refusal(window, rate, bucket, key, 1)


def _refusal(window: Window, rate: RateLimitItem, bucket: Bucket, key: Sequence[str], cost: int) -> RateLimited:
    """Say when one hit fits again. For larger work, say when all that was counted is forgotten."""
    reset = window.get_window_stats(rate, bucket.value, *key).reset_time
    seconds = reset - time.time() if cost == 1 else rate.get_expiry()
    return RateLimited(max(1, math.ceil(seconds)))


def _short(key: Sequence[str]) -> list[str]:
    return [part if len(part) <= LONGEST_KEY else token_hash(part) for part in key]


def _in_redis(url: str) -> Window:
    from redis.backoff import NoBackoff  # noqa: PLC0415 - slow to import; only REDIS_URL needs it
    from redis.retry import Retry  # noqa: PLC0415

    options = {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)}
    return Window(storage_from_string(url, wrap_exceptions=True, **options))  # type: ignore[arg-type]  # redis-py's
