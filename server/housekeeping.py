"""Remove expired rows at the start and every hour."""

import contextlib
import logging
from collections.abc import AsyncIterator

import anyio

from server.domain import sent_letters
from server.domain.grants import retention
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
            removed = await runtime.run(retention.remove_expired, runtime.settings.client_retention_days)
            removed += await runtime.run(sent_letters.remove_old)
            log.info("expired rows removed", extra={"rows": removed})
        except Unavailable:  # the database is busy or unreachable: the next round removes the same rows
            log.warning("expired rows were not removed")
        await anyio.sleep(INTERVAL_SECONDS)
