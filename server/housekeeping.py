"""Remove expired rows at the start and every hour."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial

import anyio
from sqlmodel import Session

from server.domain import retention
from server.domain.grants import retention as grant_retention
from server.domain.retention import CHUNK_ROWS
from server.errors import Unavailable
from server.runtime import Runtime

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600


@contextlib.asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[None]:
    """Run the task until the block ends. Leaving the block waits for a round in progress."""
    async with anyio.create_task_group() as group:
        group.start_soon(_repeat, runtime)
        yield
        group.cancel_scope.cancel()


async def _repeat(runtime: Runtime) -> None:
    while True:
        try:
            log.info("expired rows removed", extra={"rows": await remove_all(runtime)})
        except Unavailable:  # the database is busy or unreachable: the next round removes the same rows
            log.warning("expired rows were not removed")
        await anyio.sleep(INTERVAL_SECONDS)


async def remove_all(runtime: Runtime) -> int:
    """Remove everything that has ended, in short transactions. Return how many rows went.

    Raises Unavailable.
    """
    removed = 0
    rules: tuple[Callable[[Session], int], ...] = (
        retention.remove_ended,
        partial(grant_retention.remove_expired, client_retention_days=runtime.settings.client_retention_days),
    )
    for remove in rules:
        chunk = CHUNK_ROWS
        while chunk >= CHUNK_ROWS:  # fewer in all tables together: none of them has more
            chunk = await runtime.run(remove)
            removed += chunk
    return removed
