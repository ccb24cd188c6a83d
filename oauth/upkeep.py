"""Every hour, and at the start, what has served its time is removed."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from server.domain import retention
from server.errors import Unavailable
from server.runtime import Runtime

log = logging.getLogger(__name__)

SECONDS = 3600


@contextlib.asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[None]:
    """The task, from here to the end of the block."""
    task = asyncio.create_task(_repeat(runtime))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _repeat(runtime: Runtime) -> None:
    while True:
        try:
            removed = await runtime.run(retention.remove_expired, runtime.settings.client_retention_days)
            log.info("expired rows removed", extra={"rows": removed})
        except Unavailable:  # the database is busy or away: the next round removes them as well
            log.warning("expired rows were not removed")
        await asyncio.sleep(SECONDS)
