"""Writes vectors, words, counters and tasks for the index, in the transaction that changes the memories.

Operations call these functions; `server.index.upkeep.worker` processes the tasks after the commit.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session

from server.index.pieces import only_asks
from server.index.types import Embedded
from server.index.words import word_index
from server.index.words.backend import word_index_of
from server.models import Memory, metadata
from server.models.base import now
from server.models.stored_size import STORED_SIZE, size_of_memory
from server.storage import chunks
from server.storage.statements import Query, as_json, id_subquery, numbers_in

PURGE = 0
"""The memory number that marks a task to erase deleted words from disk."""

_memories = metadata.tables["memories"]
_pieces = metadata.tables["pieces"]
_projects = metadata.tables["projects"]
_tasks = metadata.tables["index_tasks"]
_indexes = metadata.tables["project_indexes"]


def memories_counted(
    session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]
) -> None:
    """Count new memories before they are stored, and set the columns that the index needs."""
    pieces = sum(len(result.spans) for result in embedded)
    size = sum(map(size_of_memory, memories))
    revision = _count(session, project_id, 1, memories=len(memories), size=size, pieces=pieces)
    _set_embedded(memories, embedded, revision)


def memories_added(session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
    """Write everything that is derived from the text of new memories, which are already stored."""
    _write_pieces(session, project_id, memories, embedded)
    write_tasks(session, project_id, {memory.number: 0 for memory in memories})
    _write_words(session, project_id, memories, embedded)


def memories_changed(
    session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]
) -> None:
    """Write everything that is derived from the text of changed memories. Flushes the session first."""
    memories_embedded(session, project_id, memories, embedded)
    _write_words(session, project_id, memories, embedded)


def _write_words(session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
    terms = {memory.number: result.terms for memory, result in zip(memories, embedded, strict=True)}
    for user_id in {memory.user_id for memory in memories}:
        numbers = [memory.number for memory in memories if memory.user_id == user_id]
        word_index.memories_changed(session, project_id, user_id, numbers, terms)


def memories_embedded(
    session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]
) -> None:
    """Write only the vectors of memories whose text has not changed. Flushes the session first."""
    session.flush()
    old_counts = {memory.number: memory.piece_count for memory in memories}
    new_pieces = sum(len(result.spans) for result in embedded) - sum(old_counts.values())
    revision = _count(session, project_id, 1, pieces=new_pieces)
    with_pieces = [number for number, count in old_counts.items() if count]
    if with_pieces:
        session.execute(sa.delete(_pieces).where(_pieces.c.memory_number.in_(id_subquery(with_pieces))))
    _set_embedded(memories, embedded, revision)
    _write_pieces(session, project_id, memories, embedded)
    write_tasks(session, project_id, old_counts)


def _set_embedded(memories: Sequence[Memory], embedded: Sequence[Embedded], revision: int) -> None:
    for memory, result in zip(memories, embedded, strict=True):
        memory.revision = revision
        memory.piece_count = len(result.spans)
        memory.embedding_model = result.model


def memories_removed(session: Session, project_id: str, numbers: Sequence[int]) -> None:
    """Delete everything that was derived from these memories of the project, and lock them: each is counted once, even
    if others delete it at the same time. Call it before their rows are deleted.

    After the last call of a deletion, the caller must call `request_purge`.
    """
    rows = _REMOVED.rows(session, numbers=as_json(numbers))
    if not rows:
        return
    piece_counts: dict[int, int] = {number: count for number, count, _ in rows}
    size, pieces = sum(row[2] for row in rows), sum(piece_counts.values())
    # After the memories and before everything else, as in `memories_changed`, so that no two writers can deadlock.
    _count(session, project_id, 0, removed=len(rows), memories=-len(rows), size=-size, pieces=-pieces)
    word_index_of(session).remove_memories(session, list(piece_counts))
    write_tasks(session, project_id, piece_counts)


def memory_resized(session: Session, project_id: str, growth: int) -> None:
    """Add `growth` bytes, which may be negative, to the project's count, because one of its memories changed."""
    if growth:
        _count(session, project_id, 0, size=growth)


def _count(
    session: Session, project_id: str, changes: int, removed: int = 0, memories: int = 0, size: int = 0, pieces: int = 0
) -> int:
    """Add to the project's counters and return its revision, which `changes` advances.

    The row stays locked until the commit, so revisions are in the order of commits.
    """
    parameters = {"changes": changes, "removed": removed, "memories": memories, "size": size, "pieces": pieces}
    [row] = _COUNT.rows(session, project=project_id, **parameters)
    return int(row[0])


def _write_pieces(session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
    rows = [
        {
            "memory_number": memory.number,
            "position": position,
            "project_id": project_id,
            "start": start,
            "end": end,
            "is_question": only_asks(memory.content[start:end]),
            "vector": np.ascontiguousarray(vector, dtype="<f4").tobytes(),
        }
        for memory, result in zip(memories, embedded, strict=True)
        for position, ((start, end), vector) in enumerate(zip(result.spans, result.vectors, strict=True))
    ]
    _INSERT_PIECES.run(session, rows)


def write_tasks(session: Session, project_id: str, old_counts: Mapping[int, int]) -> None:
    """Write a task for each memory, with the number of pieces that its collection may still hold.

    A project without a collection needs no tasks. The caller has locked the project's row, so no collection can be
    started now.
    """
    if _HAS_INDEX.row(session, project=project_id) is None:
        return
    created_at = now()
    rows = [
        {"project_id": project_id, "memory_number": number, "piece_count": count, "created_at": created_at}
        for number, count in old_counts.items()
    ]
    _INSERT_TASKS.run(session, rows)


def request_purge(session: Session, project_id: str) -> None:
    """Ask the worker to erase deleted text from disk."""
    task = {"project_id": project_id, "memory_number": PURGE, "piece_count": 0, "created_at": now()}
    _INSERT_TASKS.run(session, [task])


_REMOVED = Query(
    chunks.locked(
        sa.select(_memories.c.number, _memories.c.piece_count, STORED_SIZE).where(
            _memories.c.number.in_(numbers_in("numbers"))
        )
    )
)
_COUNT = Query(
    sa.update(_projects)
    .where(_projects.c.id == sa.bindparam("project"))
    .values(
        revision=_projects.c.revision + sa.bindparam("changes", type_=sa.Integer),
        removals=_projects.c.removals + sa.bindparam("removed", type_=sa.Integer),
        memory_count=_projects.c.memory_count + sa.bindparam("memories", type_=sa.Integer),
        memory_bytes=_projects.c.memory_bytes + sa.bindparam("size", type_=sa.BigInteger),
        piece_count=_projects.c.piece_count + sa.bindparam("pieces", type_=sa.Integer),
    )
    .returning(_projects.c.revision)
)
_HAS_INDEX = Query(sa.select(_indexes.c.project_id).where(_indexes.c.project_id == sa.bindparam("project")))
_INSERT_PIECES = Query(sa.insert(_pieces))
_INSERT_TASKS = Query(sa.insert(_tasks))
