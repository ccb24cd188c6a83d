"""Computes how much a project holds, and whether its quota has room for more. Memories that are staged and committed
count too, because they will be published in any case. Expired memories do not count: no answer includes them.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.expiry import expired_usage
from server.domain.memory.inputs import MemoryChange
from server.errors import QuotaExceeded
from server.models import Import, Memory, Project
from server.models.stored_size import size_of_memory, stored_size
from server.quotas import UNLIMITED, Quota
from server.storage.database import quota_of


class Usage(NamedTuple):
    """How much a project holds: the number of memories, and their size in bytes."""

    memories: int
    size: int
    quota: Quota


def usage_of(session: Session, project_id: str, *, lock: bool = False) -> Usage | None:
    """Return how much the project holds, or None if there is no quota. `lock` keeps others from adding to the project
    until the commit.
    """
    quota = quota_of(session)
    if quota == UNLIMITED:
        return None
    counters = sa.select(col(Project.memory_count), col(Project.memory_bytes)).where(col(Project.id) == project_id)
    row = session.execute(counters.with_for_update(key_share=True) if lock else counters).one_or_none()
    coming = sa.select(
        sa.func.coalesce(sa.func.sum(col(Import.memory_count)), 0),
        sa.func.coalesce(sa.func.sum(col(Import.memory_bytes)), 0),
    ).where(col(Import.project_id) == project_id, col(Import.committed_at).is_not(None))
    coming_memories, coming_size = session.execute(coming).one()
    held_memories, held_size = row or (0, 0)
    expired_memories, expired_size = expired_usage(session, project_id)
    return Usage(
        held_memories + int(coming_memories) - expired_memories,
        held_size + int(coming_size) - expired_size,
        quota,
    )


def require_room(session: Session, project_id: str, memories: int, size: int) -> None:
    """Require that the quota has room for more memories, and for more bytes. Shrinking is always allowed.

    Locks the project until the commit if there is a quota, so that the result stays valid. Raises QuotaExceeded.
    """
    if memories <= 0 and size <= 0:
        return
    usage = usage_of(session, project_id, lock=True)
    if usage is None:
        return
    if memories > 0:
        _require_below(usage.memories, memories, usage.quota.memories, "memories", "QUOTA_MEMORIES")
    if size > 0:
        _require_below(usage.size, size, usage.quota.size, "bytes", "QUOTA_BYTES")


def require_room_for(session: Session, project_id: str, memories: list[Memory]) -> None:
    """Raises QuotaExceeded."""
    if quota_of(session) != UNLIMITED:
        require_room(session, project_id, len(memories), sum(map(size_of_memory, memories)))


def growth_of(memory: Memory, change: MemoryChange) -> int:
    """Return how many bytes the memory grows by the change. Negative if it shrinks."""
    content = memory.content if change.text is None else change.text
    details = memory.details if change.metadata is None else change.metadata
    messages = memory.messages if change.text is None else None
    return stored_size(content, details, messages) - size_of_memory(memory)


def _require_below(used: int, more: int, most: int | None, unit: str, setting: str) -> None:
    if most is not None and used + more > most:
        raise QuotaExceeded(
            f"This project is full: it holds {used:,} of at most {most:,} {unit}, and this needs {more:,} more. "
            f"Delete memories, or ask the administrator of this server to raise {setting}."
        )
