"""What a change of memories leaves for the index, in the same transaction: vectors, words, counters, tasks.

Operations call these; the index's owner (`server.index.upkeep.worker`) follows the tasks after the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from server.database import id_subquery
from server.index.words import word_index
from server.models import Memory, metadata
from server.models.base import now

Vectors = NDArray[np.float32]
PURGE = 0
"""The memory number of a task that says: something was removed, whose words must leave the disk."""

_memories, _pieces = metadata.tables["memories"], metadata.tables["pieces"]
_projects, _tasks = metadata.tables["projects"], metadata.tables["index_tasks"]
_indexes = metadata.tables["project_indexes"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's pieces, `content[start:end]` each, with their vectors: float32 (pieces, dimensions), unit length."""

    model: str
    spans: tuple[tuple[int, int], ...]
    vectors: Vectors


def memories_changed(
    session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]
) -> None:
    """The memories' rows are new or changed (and flushed): write all that is derived from their text."""
    session.flush()
    held = {memory.number: memory.piece_count for memory in memories}
    added = sum(memory.revision == 0 for memory in memories)
    pieces = sum(len(one.spans) for one in embedded) - sum(held.values())
    revision = _counted(session, project_id, added, pieces)
    changed = [number for number, count in held.items() if count]
    if changed:
        session.execute(sa.delete(_pieces).where(_pieces.c.memory_number.in_(id_subquery(session, changed))))
    for memory, one in zip(memories, embedded, strict=True):
        memory.revision, memory.piece_count, memory.embedding_model = revision, len(one.spans), one.model
    _write_pieces(session, project_id, memories, embedded)
    for user_id in {memory.user_id for memory in memories}:
        numbers = [memory.number for memory in memories if memory.user_id == user_id]
        word_index.memories_changed(session, project_id, user_id, numbers)
    _write_tasks(session, project_id, held)


def memories_removed(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """These memories of the project are about to be deleted: forget what was derived from them."""
    if not numbers:
        return
    own = _memories.c
    query = sa.select(own.number, own.piece_count).where(own.number.in_(id_subquery(session, numbers)))
    held: dict[int, int] = {row.number: row.piece_count for row in session.execute(query)}
    counters = _projects.c  # first, as when something is stored: whoever changes the project waits here, not crosswise
    session.execute(
        sa.update(_projects)
        .where(counters.id == project_id)
        .values(
            removals=counters.removals + len(held),
            memory_count=counters.memory_count - len(held),
            piece_count=counters.piece_count - sum(held.values()),
        )
    )
    word_index.memories_removed(session, project_id, list(held))
    _write_tasks(session, project_id, held)
    _write_purge(session, project_id)


def projects_removed(session: Session, project_ids: Sequence[str]) -> None:
    """These projects are about to be deleted with all their memories."""
    word_index.projects_removed(session, project_ids)
    for project_id in project_ids:
        _write_purge(session, project_id)


def _counted(session: Session, project_id: str, memories: int, pieces: int) -> int:
    """The project's new revision. The row stays locked until the commit: revisions come in the order of commits."""
    given = {"project": project_id, "memories": memories, "pieces": pieces}
    return int(session.execute(_COUNT, given).scalar_one())


def _write_pieces(session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
    rows = [
        {
            "memory_number": memory.number,
            "position": position,
            "project_id": project_id,
            "start": start,
            "end": end,
            "vector": np.ascontiguousarray(vector, dtype="<f4").tobytes(),
        }
        for memory, one in zip(memories, embedded, strict=True)
        for position, ((start, end), vector) in enumerate(zip(one.spans, one.vectors, strict=True))
    ]
    if rows:
        session.execute(_INSERT_PIECES, rows)


def _write_tasks(session: Session, project_id: str, held: dict[int, int]) -> None:
    """Only a project with a collection has something to follow; the project's row is locked, so none begins unseen."""
    if session.scalar(_HAS_INDEX, {"project": project_id}) is None:
        return
    moment = now()
    session.execute(
        sa.insert(_tasks),
        [
            {"project_id": project_id, "memory_number": number, "piece_count": count, "created_at": moment}
            for number, count in held.items()
        ],
    )


def _write_purge(session: Session, project_id: str) -> None:
    session.execute(
        sa.insert(_tasks).values(project_id=project_id, memory_number=PURGE, piece_count=0, created_at=now())
    )


_own = _projects.c
_COUNT = (
    sa.update(_projects)
    .where(_own.id == sa.bindparam("project"))
    .values(
        revision=_own.revision + 1,
        memory_count=_own.memory_count + sa.bindparam("memories", type_=sa.Integer),
        piece_count=_own.piece_count + sa.bindparam("pieces", type_=sa.Integer),
    )
    .returning(_own.revision)
)
_HAS_INDEX = sa.select(_indexes.c.project_id).where(_indexes.c.project_id == sa.bindparam("project"))
_INSERT_PIECES = sa.insert(_pieces)
