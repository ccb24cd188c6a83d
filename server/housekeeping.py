"""Remove expired rows at the start and every hour."""

import contextlib
import logging
from collections.abc import AsyncIterator

import anyio

from server.domain.grants import retention
from server.domain.memory import idempotency, imports
from server.errors import Unavailable
from server.runtime import Runtime

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600
RESUME_SECONDS = 60
"""How often imports that a crash left behind are looked for."""


@contextlib.asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[None]:
    """Run the task until the block ends. Leaving the block waits for a round in progress."""
    async with anyio.create_task_group() as group:
        group.start_soon(_repeat, runtime)
        group.start_soon(_resume_imports, runtime)
        yield
        group.cancel_scope.cancel()


async def _repeat(runtime: Runtime) -> None:
    while True:
        try:
            removed = await runtime.run(retention.remove_expired, runtime.settings.client_retention_days)
            while removed_keys := await runtime.run(idempotency.remove_expired):
                removed += removed_keys
            log.info("expired rows removed", extra={"rows": removed})
        except Unavailable:  # the database is busy or unreachable: the next round removes the same rows
            log.warning("expired rows were not removed")
        await anyio.sleep(INTERVAL_SECONDS)


async def _resume_imports(runtime: Runtime) -> None:
    """Publish what was committed and discard what was not, when nobody works on it any more."""
    while True:
        try:
            for import_id, is_committed in await runtime.read(imports.left_behind):
                step = imports.publish if is_committed else imports.discard
                while await runtime.run(step, None, import_id):
                    pass
                log.info("import ended", extra={"import_id": import_id, "published": is_committed})
                runtime.index.wake()
        except Unavailable:  # the next round ends the same imports
            log.warning("imports were not ended")
        await anyio.sleep(RESUME_SECONDS)
