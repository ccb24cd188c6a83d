"""Runs a revert with a few memories per transaction, so that other writers wait only briefly."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from server.domain.memory import revert
from server.domain.memory.revert import CHUNK_MEMORIES, Wanted
from server.runtime import Call


class Undone(NamedTuple):
    """How many memories were moved to the trash, set back to a version, restored from the trash, and left alone."""

    adds: int
    changes: int
    deletions: int
    skipped: int


async def planned(call: Call, wanted: Wanted) -> Undone:
    """Count what would be undone. Raises NotFound, Forbidden."""
    plan = await call.read(revert.plan, wanted)
    return Undone(len(plan.adds), len(plan.changes), len(plan.deletions), plan.skipped)


async def undo(call: Call, wanted: Wanted) -> Undone:
    """Undo what one source did since a given time. Raises NotFound, Forbidden."""
    plan = await call.read(revert.plan, wanted)
    adds = deletions = changes = 0
    for ids in batched(plan.adds, CHUNK_MEMORIES):
        adds += await call.run(revert.undo_adds, wanted, ids)
    for ids in batched(plan.deletions, CHUNK_MEMORIES):
        deletions += await call.run(revert.undo_deletions, wanted, ids)
    for memory_id in plan.changes:
        changes += await call.run(revert.undo_change, wanted, memory_id, call.index)
    wanted_count = len(plan.adds) + len(plan.deletions) + len(plan.changes)
    return Undone(adds, changes, deletions, plan.skipped + wanted_count - adds - deletions - changes)


def batched(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the ids, `size` at a time."""
    return (ids[start : start + size] for start in range(0, len(ids), size))
