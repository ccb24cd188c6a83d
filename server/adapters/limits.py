"""Rate limits: each operation counts in a bucket, in this process, in a file shared by workers, or in Redis."""

import contextlib
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerDay, parse_many
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter as Window

from server.adapters.limit_storage import ForgetfulStorage
from server.adapters.shared_limits import SharedWindows
from server.buckets import Bucket
from server.errors import RateLimited
from server.hashing import token_hash
from server.settings import Settings, SettingsError

log = logging.getLogger(__name__)

T = TypeVar("T")

AWAY_SECONDS = 5
"""After a failure, Redis is not used for this long, so that requests do not wait for it."""

LONGEST_KEY = 64
"""A part of a key that is longer than this is hashed, because callers choose it and the limiter keeps it in memory."""

SENT_TWICE = 2
"""How many attempts a form gives that somebody sends twice."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A key, and the rates that its hits must not exceed."""

    rates: tuple[RateLimitItem, ...]
    key: tuple[str, ...]


class Limits:
    """Counts hits by (bucket, key). A key is a person in a project, a client address, or what else a caller passes.

    While Redis is unreachable, each machine counts alone, so that requests are still answered and still limited.
    """

    def __init__(self, settings: Settings, folder: str | None = None) -> None:
        """Count in this process, or in `folder` for all workers that use it."""
        self._enabled = settings.rate_limit_enabled
        self._own = Window(SharedWindows(Path(folder) / "limits") if folder else ForgetfulStorage())
        url = settings.redis_url.get_secret_value()
        self._shared = in_redis(url) if url else None
        self._away_until = 0.0
        self._rates: dict[Bucket, list[RateLimitItem]] = {
            bucket: parse_many(getattr(settings, f"rate_limit_{bucket.value}")) for bucket in Bucket
        }
        self._lock = threading.Lock()
        self._workers = settings.workers
        self._trying: Counter[tuple[str, ...]] = Counter()

    @property
    def may_block(self) -> bool:
        """True if counting may wait for Redis, so the caller must use a worker thread."""
        return self._enabled and self._shared is not None

    def hit(self, bucket: Bucket, *key: str, cost: int = 1, times: int = 1) -> None:
        """Count work of the size `cost` before it is done.

        Raises RateLimited above `times` the rate, without counting. May block on Redis, see `may_block`. Work larger
        than the whole rate passes if the window is empty, and fills it.
        """
        self.count(self.rule(bucket, *key, times=times), cost)

    def require_room(self, bucket: Bucket, *key: str) -> None:
        """Raises RateLimited if the limit is used up, without counting a hit."""
        if self._enabled:
            rule = self.rule(bucket, *key)
            self._on_a_window(lambda window: _require_room(window, [rule], [1]))

    def has_room(self, bucket: Bucket, *key: str) -> bool:
        """Return whether `require_room` would pass. Does not block: False if only Redis can tell."""
        if self.may_block:
            return False
        try:
            self.require_room(bucket, *key)
        except RateLimited:
            return False
        return True

    def rule(self, bucket: Bucket, *key: str, times: int = 1, daily: int | None = None) -> Rule:
        """Return the bucket's rates for `key`, times `times`. `daily` adds a rate per day: that many times the amount
        of the first rate.
        """
        base = self._rates[bucket]
        rates = [type(rate)(rate.amount * times, rate.multiples) for rate in base]
        if daily is not None:
            rates.append(RateLimitItemPerDay(daily * base[0].amount))
        short = (part if len(part) <= LONGEST_KEY else token_hash(part) for part in key)
        return Rule(tuple(rates), (bucket.value, *short))

    def count(self, rule: Rule, cost: int = 1) -> None:
        """Count work of the size `cost`. Raises RateLimited above a rate."""
        if self._enabled:
            self._on_a_window(lambda window: _hit(window, rule, cost))

    def begin(self, rules: Sequence[Rule]) -> None:
        """Reserve room in each rule for an attempt. It counts only if it fails. Call `end` when it is over. Attempts in
        progress count as failures, so that many at once cannot get around a rule. Raises RateLimited when failures and
        attempts fill a rule; do not call `end` then.
        """
        if not self._enabled:
            return
        with self._lock:
            self._trying.update(rule.key for rule in rules)
            places = [self._place(self._trying[rule.key]) for rule in rules]
        with contextlib.ExitStack() as taken:
            taken.callback(self.end, rules)
            self._on_a_window(lambda window: _require_room(window, rules, places))
            taken.pop_all()

    def _place(self, trying: int) -> int:
        """Return which attempt in progress of all workers this one may be, if it is number `trying` in this one.

        What the others try is not known: assume as much of each. But a form that somebody sends twice gives two
        attempts, and only failures can refuse these.
        """
        return trying if trying <= SENT_TWICE else 1 + (trying - 1) * self._workers

    def fail(self, rules: Sequence[Rule]) -> None:
        """Count a failed attempt."""
        if self._enabled:
            self._on_a_window(lambda window: [window.hit(rate, *rule.key) for rule in rules for rate in rule.rates])

    def end(self, rules: Sequence[Rule]) -> None:
        """Release what `begin` reserved. Never blocks."""
        if self._enabled:
            with self._lock:
                self._trying.subtract(rule.key for rule in rules)
                for rule in rules:
                    if self._trying[rule.key] <= 0:
                        del self._trying[rule.key]

    def _on_a_window(self, work: Callable[[Window], T]) -> T:
        """Run `work` on Redis, or on this machine's own window while Redis is unreachable."""
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                return work(self._shared)
            except StorageError as error:
                log.warning("redis is unreachable", extra={"reason": type(error.storage_error).__name__})
                self._away_until = time.monotonic() + AWAY_SECONDS
        return work(self._own)


def _hit(window: Window, rule: Rule, cost: int) -> None:
    """Raises RateLimited above one of the rates, without counting in the others."""
    steps = (window.hit,) if len(rule.rates) == 1 else (window.test, window.hit)
    for step, rate in product(steps, rule.rates):
        if not step(rate, *rule.key, cost=min(cost, rate.amount)):
            raise _refusal(window, rate, rule, cost)


def _require_room(window: Window, rules: Sequence[Rule], places: Sequence[int]) -> None:
    for rule, place in zip(rules, places, strict=True):
        for rate in rule.rates:
            if not window.test(rate, *rule.key, cost=place):
                raise _refusal(window, rate, rule, 1)


def _refusal(window: Window, rate: RateLimitItem, rule: Rule, cost: int) -> RateLimited:
    """Return RateLimited with the time until one more hit is allowed or, for larger work, until the window is empty."""
    reset = window.get_window_stats(rate, *rule.key).reset_time
    seconds = reset - time.time() if cost == 1 else rate.get_expiry()
    return RateLimited(max(1, math.ceil(seconds)), limit=rule.key[0])


def in_redis(url: str) -> Window:
    """Return the windows that all processes share. They raise StorageError when Redis does not answer.

    Raises SettingsError if the URL has an option that cannot be used.
    """
    from redis.backoff import NoBackoff  # noqa: PLC0415 - slow to import; only REDIS_URL needs it
    from redis.exceptions import RedisError  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    options = {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), 0)}
    try:
        storage = storage_from_string(url, wrap_exceptions=True, **options)  # type: ignore[arg-type]  # redis-py's
        storage.storage.connection_pool.make_connection()  # type: ignore[union-attr]  # reads all options, and sends nothing
    except (ValueError, TypeError, RedisError):  # whose text could repeat a part of the password
        raise SettingsError("SELFMEMORY_REDIS_URL: remove the options after the ?, which Redis cannot use") from None
    return Window(storage)
