"""Finishes what a dead process has begun, at the start and repeatedly, and removes expired rows repeatedly, unless the
clock may be wrong.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial

import anyio

from server.domain import retention
from server.domain.grants import retention as grant_retention
from server.domain.memory import activity, deletions, expiry, idempotency, imports, trash, unfinished
from server.errors import Unavailable
from server.models.base import now
from server.shell import monitoring
from server.shell.monitoring import REFRESH_SECONDS
from server.shell.runtime import Runtime
from server.shell.uploads import Uploads

log = logging.getLogger(__name__)

REMOVE_AFTER_SECONDS = 1
"""How long after the start to look for rows to remove for the first time. It would slow down the first requests."""

STEADY_SECONDS = 1200
"""How long the clock must not have jumped before anything is removed."""

JUMP_SECONDS = 60
"""A smaller difference is no jump: clocks drift, and are corrected."""

INTERVAL_SECONDS = 3600
PURGE_SECONDS = 600
"""How often to delete the memories that have expired or whose time in the trash is over."""

FINISH_SECONDS = 2
"""How often to look for work that a dead process has left behind."""

AFTER_FAILURE_SECONDS = 30
"""How long to wait after a bug, so that it does not fill the log."""


class SteadyClock:
    """Tells whether the clock can be trusted with deletions that nobody can undo.

    A clock can be days ahead for some minutes, for example on a machine that has started and not asked for the time
    yet. `wall` is that clock; `ticks` only counts the seconds that pass.
    """

    def __init__(self, wall: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._ticks = ticks
        self._readings: deque[tuple[float, float]] = deque()

    def is_steady(self) -> bool:
        """Return whether the calls of the last `STEADY_SECONDS`, and the last one before them, have seen no jump."""
        ticks = self._ticks()
        long_ago = ticks - STEADY_SECONDS
        self._readings.append((ticks, self._wall() - ticks))
        while len(self._readings) > 1 and self._readings[1][0] <= long_ago:
            self._readings.popleft()
        offsets = [offset for _, offset in self._readings]
        return self._readings[0][0] <= long_ago and max(offsets) - min(offsets) < JUMP_SECONDS


@contextlib.asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[None]:
    """Run the tasks until the block ends. Leaving the block waits for the current round."""
    finish = partial(finish_begun_work, runtime, now(), unfinished.Idle())
    remove = partial(_remove, SteadyClock())
    async with anyio.create_task_group() as group:
        group.start_soon(_repeat, finish, FINISH_SECONDS, "unfinished work was not resumed")
        group.start_soon(remove, partial(remove_all, runtime), INTERVAL_SECONDS, "expired rows were not removed")
        group.start_soon(remove, partial(remove_uploads, runtime), INTERVAL_SECONDS, "old uploads were not removed")
        group.start_soon(remove, partial(purge_memories, runtime), PURGE_SECONDS, "expired memories were not deleted")
        if runtime.metrics.is_shared:
            group.start_soon(_repeat, partial(_show_state, runtime), REFRESH_SECONDS, "metrics were not updated")
        yield
        group.cancel_scope.cancel()


async def _repeat(work: Callable[[], Awaitable[object]], seconds: float, failure: str) -> None:
    """Repeat the work. Nothing that it raises may end this task, because that would end the server."""
    while True:
        pause = seconds
        try:
            with contextlib.suppress(Unavailable):  # the database is busy or unreachable
                await work()
        except Exception:
            log.exception(failure)
            pause = max(seconds, AFTER_FAILURE_SECONDS)
        await anyio.sleep(pause)


async def _remove(clock: SteadyClock, work: Callable[[], Awaitable[object]], seconds: float, failure: str) -> None:
    """Repeat the work, but only while the clock is steady. Until then, look every `PURGE_SECONDS`."""

    async def remove() -> None:
        while not clock.is_steady():  # noqa: ASYNC110 - no event tells that a clock is right
            await anyio.sleep(PURGE_SECONDS)
        await work()

    await anyio.sleep(REMOVE_AFTER_SECONDS)
    await _repeat(remove, seconds, failure)


async def _show_state(runtime: Runtime) -> None:
    """Show the state of this process to the worker that reports the metrics."""
    monitoring.refresh(runtime)


async def remove_all(runtime: Runtime) -> int:
    """Remove all expired rows, in short transactions. Return their number.

    Raises Unavailable.
    """
    removed = 0
    settings = runtime.settings
    rules: tuple[tuple[Callable[..., int], dict[str, int]], ...] = (
        (retention.remove_ended, {}),
        (idempotency.remove_expired, {}),
        (activity.remove_old, {"days": settings.activity_days}),
        (grant_retention.remove_expired, {"client_retention_days": settings.client_retention_days}),
    )
    for remove, limits in rules:
        while chunk := await runtime.run(remove, **limits):
            removed += chunk
    if removed:
        log.info("expired rows removed", extra={"rows": removed})
    return removed


async def remove_uploads(runtime: Runtime) -> None:
    """Remove old uploads. Raises OSError for a file that cannot be removed."""
    await runtime.in_thread(Uploads(runtime.settings.data_dir).remove_old)


async def purge_memories(runtime: Runtime) -> int:
    """Delete the memories that have expired or whose time in the trash is over. Return how many. Raises Unavailable."""
    purged = 0
    for purge in (expiry.purge, trash.purge):
        while chunk := await runtime.run(purge):
            purged += chunk
    if purged:
        runtime.index.wake()
    return purged


async def finish_begun_work(runtime: Runtime, started_at: datetime, idle: unfinished.Idle) -> None:
    """Finish what no process works on any more: publish committed imports, batches and words, discard abandoned
    imports, and delete the rest of what was being deleted. Raises Unavailable.
    """
    await _finish_imports(runtime, started_at, idle)
    for deletion_id in await runtime.read(deletions.left_behind, started_at):
        while await runtime.run(deletions.delete_more, deletion_id):
            pass
        log.info("deletion ended", extra={"deletion_id": deletion_id})
        runtime.index.wake()


async def _finish_imports(runtime: Runtime, started_at: datetime, idle: unfinished.Idle) -> None:
    found = await runtime.read(unfinished.left_behind, started_at)
    for left in [*(left for left in found if left.is_committed), *idle.discardable(found)]:
        if await runtime.run(unfinished.take_over, left):
            step = imports.publish if left.is_committed else imports.discard
            while await runtime.run(step, None, left.import_id):
                pass
            log.info("import ended", extra={"import_id": left.import_id, "published": left.is_committed})
            runtime.index.wake()
