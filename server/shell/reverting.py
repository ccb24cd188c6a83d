"""Runs a revert in transactions of a few memories each, so that nobody waits long to write."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from server.domain.memory import revert
from server.domain.memory.revert import CHUNK_MEMORIES, Reversion, Step
from server.shell.runtime import Call


class Undone(NamedTuple):
    """How many memories were moved to the trash, set back to their previous version, and restored from the trash. The
    others were left alone: `skipped` because somebody else changed them, `beyond_history` because their previous
    version is no longer kept.
    """

    adds: int
    changes: int
    deletions: int
    skipped: int
    beyond_history: int


async def planned(call: Call, reversion: Reversion) -> Undone:
    """Count what would be undone. Raises NotFound, Forbidden."""
    plan = await call.read(revert.plan, reversion)
    return Undone(len(plan.adds), len(plan.changes), len(plan.deletions), plan.skipped, plan.beyond_history)


async def undo(call: Call, reversion: Reversion) -> Undone:
    """Undo what one credential did since a given time. Raises NotFound, Forbidden."""
    plan = await call.read(revert.plan, reversion)
    adds = [await call.run(revert.undo_adds, reversion, ids) for ids in batched(plan.adds, CHUNK_MEMORIES)]
    deletions = [
        await call.run(revert.undo_deletions, reversion, ids) for ids in batched(plan.deletions, CHUNK_MEMORIES)
    ]
    changes = [await call.run(revert.undo_change, reversion, memory_id, call.index) for memory_id in plan.changes]
    skipped = sum(step.skipped for step in (*adds, *deletions, *changes))
    return Undone(_done(adds), _done(changes), _done(deletions), plan.skipped + skipped, plan.beyond_history)


def _done(steps: Iterable[Step]) -> int:
    return sum(step.done for step in steps)


def batched(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the ids, `size` at a time."""
    return (ids[start : start + size] for start in range(0, len(ids), size))
