"""Removes expired rows at startup and every hour."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial

import anyio
from sqlmodel import Session

from server import monitoring
from server.domain import retention, sent_letters
from server.domain.grants import retention as grant_retention
from server.domain.memory import activity, deletions, expiry, idempotency, imports, trash
from server.errors import Unavailable
from server.runtime import Runtime
from server.uploads import Uploads

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3600
PURGE_SECONDS = 600
"""How often to delete the memories that have expired or whose time in the trash is over. So each is gone within the
hour.
"""

RESUME_SECONDS = 60
"""How often to look for imports that a crash left behind."""

DELETE_SECONDS = 5
"""How often to look for deletions of all memories that a crash left behind."""


@contextlib.asynccontextmanager
async def running(runtime: Runtime) -> AsyncIterator[None]:
    """Run the task until the block ends. Leaving the block waits for the current round."""
    async with anyio.create_task_group() as group:
        group.start_soon(_repeat, runtime)
        group.start_soon(_resume_imports, runtime)
        group.start_soon(_finish_deletions_repeatedly, runtime)
        group.start_soon(_purge_repeatedly, runtime)
        group.start_soon(monitoring.refresh_repeatedly, runtime)
        yield
        group.cancel_scope.cancel()


async def _repeat(runtime: Runtime) -> None:
    while True:
        try:
            if count := await remove_all(runtime):
                log.info("expired rows removed", extra={"rows": count})
        except Unavailable:  # the database is busy or unreachable: the next round removes the same rows
            log.warning("expired rows were not removed")
        await anyio.sleep(INTERVAL_SECONDS)


async def remove_all(runtime: Runtime) -> int:
    """Remove all expired rows, in short transactions. Return their number.

    Raises Unavailable.
    """
    removed = 0
    await runtime.in_thread(Uploads(runtime.settings.data_dir).remove_old)
    rules: tuple[Callable[[Session], int], ...] = (
        retention.remove_ended,
        idempotency.remove_expired,
        sent_letters.remove_old,
        partial(activity.remove_old, days=runtime.settings.activity_days),
        partial(grant_retention.remove_expired, client_retention_days=runtime.settings.client_retention_days),
    )
    for remove in rules:
        while chunk := await runtime.run(remove):
            removed += chunk
    return removed


async def purge_memories(runtime: Runtime) -> int:
    """Delete the memories that have expired or whose time in the trash is over. Return how many. Raises Unavailable."""
    purged = 0
    for purge in (expiry.purge, trash.purge):
        while chunk := await runtime.run(purge):
            purged += chunk
    if purged:
        runtime.index.wake()
    return purged


async def _purge_repeatedly(runtime: Runtime) -> None:
    while True:
        with contextlib.suppress(Unavailable):  # the next round deletes the same memories
            await purge_memories(runtime)
        await anyio.sleep(PURGE_SECONDS)


async def finish_deletions(runtime: Runtime) -> None:
    """Finish the deletions of all memories on which no process works any more. Raises Unavailable."""
    for deletion_id in await runtime.read(deletions.left_behind):
        while await runtime.run(deletions.delete_more, deletion_id):
            pass
        log.info("deletion ended", extra={"deletion_id": deletion_id})
        runtime.index.wake()


async def _finish_deletions_repeatedly(runtime: Runtime) -> None:
    while True:
        with contextlib.suppress(Unavailable):  # the next round finishes the same deletions
            await finish_deletions(runtime)
        await anyio.sleep(DELETE_SECONDS)


async def _resume_imports(runtime: Runtime) -> None:
    """Publish committed imports and discard uncommitted ones, if no process works on them any more."""
    while True:
        try:
            for import_id, is_committed in await runtime.read(imports.left_behind):
                step = imports.publish if is_committed else imports.discard
                while await runtime.run(step, None, import_id):
                    pass
                log.info("import ended", extra={"import_id": import_id, "published": is_committed})
                runtime.index.wake()
        except Unavailable:  # the next round handles the same imports
            log.warning("interrupted imports were not finished")
        await anyio.sleep(RESUME_SECONDS)
