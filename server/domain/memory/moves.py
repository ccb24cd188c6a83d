"""Moves a memory to another project, with its id, versions and vectors.

A long memory moves as an import is published: one short transaction hides it and stages a copy, and from then on it
will be in the other project. `imports.publish` does the rest in several transactions, also after a crash.
"""

import json

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory import copies, expiry, publishing, storing
from server.domain.memory.copies import MemoryCopy
from server.models import Import, Memory, StagedMemory
from server.models.base import now
from server.models.imports import MOVED
from server.models.stored_size import size_of_memory


def move(session: Session, memory: Memory, target_id: str) -> None:
    """Move a memory that is not long, in this transaction."""
    copy = copies.copy_of(session, memory)
    storing.remove(session, memory.project_id, [memory.number])
    copies.store(session, target_id, copy)


def begin(session: Session, memory: Memory, target_id: str) -> str:
    """Decide that a long memory moves. Hide it, and return the id of the import that stores it in the other project.

    A hidden memory has expired, so no query has to know about it.
    """
    copy = copies.copy_of(session, memory)
    begun = Import(project_id=target_id, committed_at=now(), memory_count=1, memory_bytes=size_of_memory(memory))
    session.add(begun)
    session.flush()
    session.add(
        StagedMemory(
            import_id=begun.id,
            position=0,
            memory_id=memory.id,
            line=json.dumps([copy.memory, copy.versions]),
            content_hash=MOVED,
            spans=copy.spans,
            embedding_model=copy.embedding_model,
            vectors=copy.vectors,
        )
    )
    expiry.hide(memory)
    return begun.id


def arrive(session: Session, begun: Import) -> bool:
    """Do the next step of a move: remove the hidden memory, then store the copy. Return False if this import moves
    none, or has stored it.

    The staged copy stays until `publishing.unstage` deletes it.
    """
    query = sa.select(col(StagedMemory.memory_id)).where(*_copy_in(begun))
    memory_id = session.scalar(query)
    if memory_id is None:
        return False
    hidden = sa.select(col(Memory.project_id), col(Memory.number)).where(col(Memory.id) == memory_id)
    if row := session.execute(hidden.with_for_update()).first():
        storing.remove(session, row[0], [row[1]])
        return True
    staged = session.scalars(sa.select(StagedMemory).where(*_copy_in(begun))).one()
    memory_row, versions = json.loads(staged.line)
    copy = MemoryCopy(memory_row, versions, staged.spans, staged.embedding_model, staged.vectors)
    memory = copies.store(session, begun.project_id, copy)
    begun.memory_count = begun.memory_bytes = 0
    publishing.mark_stored(session, begun.id, staged.position, memory)
    return True


def _copy_in(begun: Import) -> list[sa.ColumnElement[bool]]:
    return [
        col(StagedMemory.import_id) == begun.id,
        col(StagedMemory.position) == 0,
        col(StagedMemory.content_hash) == MOVED,
    ]
