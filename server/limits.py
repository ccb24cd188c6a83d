"""Rate limits: one bucket an operation, counted in this process, or in Redis for several workers."""

import logging
import math
import time

from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter as Window

from server.buckets import Bucket
from server.errors import RateLimited
from server.hashing import token_hash
from server.settings import Settings

log = logging.getLogger(__name__)

AWAY_SECONDS = 5
"""Seconds without another try after Redis failed, so that not every request waits for it."""

LONGEST_KEY = 64
"""Characters of a key's part. Longer ones are hashed: callers choose them, and the limiter keeps them in memory."""


class Limits:
    """Counts hits by (bucket, key). A key is a credential id or a client address.

    While Redis is unreachable each process counts alone: a limit must neither stop the service nor vanish.
    """

    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.rate_limit_enabled
        self._own = Window(MemoryStorage())
        url = settings.redis_url.get_secret_value()
        self._shared = _in_redis(url) if url else None
        self._away_until = 0.0
        self._rates: dict[Bucket, list[RateLimitItem]] = {
            bucket: parse_many(getattr(settings, f"rate_limit_{bucket.value}")) for bucket in Bucket
        }

    def hit(self, bucket: Bucket, *key: str, times: int = 1) -> None:
        """Count one hit. Raises RateLimited above `times` the rate.

        May block on Redis: call it on a worker thread.
        """
        if not self._enabled:
            return
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                self._hit(self._shared, bucket, times, *key)
            except StorageError as error:
                log.warning("redis is unreachable", extra={"reason": type(error.storage_error).__name__})
                self._away_until = time.monotonic() + AWAY_SECONDS
            else:
                return
        self._hit(self._own, bucket, times, *key)

    def _hit(self, window: Window, bucket: Bucket, times: int, *given: str) -> None:
        key = [part if len(part) <= LONGEST_KEY else token_hash(part) for part in given]
        for each in self._rates[bucket]:
            rate = type(each)(each.amount * times, each.multiples, each.namespace)
            if not window.hit(rate, bucket.value, *key):
                reset = window.get_window_stats(rate, bucket.value, *key).reset_time
                raise RateLimited(max(1, math.ceil(reset - time.time())))


def _in_redis(url: str) -> Window:
    from redis.backoff import NoBackoff  # noqa: PLC0415 - slow to import; only REDIS_URL needs it
    from redis.retry import Retry  # noqa: PLC0415

    options = {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)}
    return Window(storage_from_string(url, wrap_exceptions=True, **options))  # type: ignore[arg-type]  # redis-py's
