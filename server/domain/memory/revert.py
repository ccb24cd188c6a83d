"""Undoes what one credential did with the memories of a project since a given time.

`plan` finds what to undo. Then each step undoes a few memories in its own transaction, and checks again under a lock,
so that no later change by someone else is undone.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum, auto
from itertools import dropwhile, takewhile
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import turns
from server.domain.access import Action, require_project
from server.domain.memory import deletions, memories, trash
from server.domain.memory.budget import WITHOUT_MESSAGES
from server.domain.memory.changes import restoring_change
from server.domain.memory.copies import read_row
from server.domain.memory.inputs import MemoryChange
from server.domain.memory.storing import embed, embedding_input
from server.index import Index
from server.models import Memory, MemoryVersion, TrashedMemory
from server.models.activity import ActivityKind
from server.models.base import now
from server.models.memories import is_live
from server.models.sources import Source
from server.principal import Principal

CHUNK_MEMORIES = 20
"""How many memories one transaction undoes."""


class Reversion(NamedTuple):
    """The source whose work is undone, and since when."""

    project_id: str
    source_id: str
    since: datetime


class Plan(NamedTuple):
    """The memories to delete, to change back, and to restore from the trash. `skipped` counts those that somebody else
    changed or deleted afterwards, `beyond_history` those that the source changed so often that the version before its
    changes is no longer kept. Both kinds are left alone.
    """

    adds: list[str]
    changes: list[str]
    deletions: list[str]
    skipped: int
    beyond_history: int


class Step(NamedTuple):
    """How many memories a transaction undid, and how many it left because someone else had changed them."""

    done: int
    skipped: int = 0


class _Work(Enum):
    ADDED = auto()
    CHANGED = auto()
    BEYOND_HISTORY = auto()
    NOT_LAST = auto()
    UNDONE = auto()


class _State(NamedTuple):
    version: int
    source: Source | None
    moment: datetime | None


def plan(session: Session, principal: Principal, reversion: Reversion) -> Plan:
    """Return what to undo. Raises NotFound, Forbidden."""
    require_project(session, principal, reversion.project_id, Action.REVERT)
    ids_by_work: dict[_Work, list[str]] = {work: [] for work in _Work}
    for memory in session.scalars(_touched(reversion)):
        ids_by_work[_work_on(session, memory, reversion)].append(memory.id)
    returning: dict[str, bool] = {}  # whether the source also changed what it deleted; not the texts, of any size
    for memory in _memories_in(session, _trashed(reversion)):
        if not _is_addition(memory, reversion):
            returning[memory.id] = _is_own(_current(memory), reversion)
    return Plan(
        adds=ids_by_work[_Work.ADDED],
        changes=ids_by_work[_Work.CHANGED] + [memory_id for memory_id, is_changed in returning.items() if is_changed],
        deletions=list(returning),
        skipped=len(ids_by_work[_Work.NOT_LAST]) + _deleted_by_others(session, reversion),
        beyond_history=len(ids_by_work[_Work.BEYOND_HISTORY]),
    )


def undo_adds(session: Session, principal: Principal, reversion: Reversion, memory_ids: Sequence[str]) -> Step:
    """Move these memories to the trash, except those that somebody changed after `plan` ran."""
    require_project(session, principal, reversion.project_id, Action.REVERT)
    days = trash.days_of_revert(session, reversion.project_id)
    done = skipped = 0
    for memory_id in turns.each(session, memory_ids):
        memory = _locked(session, reversion, memory_id)
        work = memory and _work_on(session, memory, reversion)
        if memory is not None and work is _Work.ADDED:
            deletions.remove(session, principal, memory, days)
            done += 1
        skipped += work is _Work.NOT_LAST
    return Step(done, skipped)


def undo_deletions(session: Session, principal: Principal, reversion: Reversion, memory_ids: Sequence[str]) -> Step:
    """Bring these memories back from the trash. Memories that someone else already restored are not counted.

    Raises QuotaExceeded.
    """
    require_project(session, principal, reversion.project_id, Action.REVERT)
    trashed = session.scalars(_trashed(reversion).where(col(TrashedMemory.id).in_(memory_ids))).all()
    return Step(trash.bring_back_all(session, principal, reversion.project_id, trashed))


def undo_change(session: Session, principal: Principal, reversion: Reversion, memory_id: str, index: Index) -> Step:
    """Restore the version before the changes, unless somebody else changed the memory after `plan` ran.

    The index must be prepared. Raises QuotaExceeded.
    """
    require_project(session, principal, reversion.project_id, Action.REVERT)
    change = _change_back(session, reversion, memory_id)
    if isinstance(change, Step):
        return change
    # This may pause the transaction, so look everything up again. After this, nothing ends the transaction.
    embed(session, index, [embedding_input(change.text or "", change.metadata or {})])
    change = _change_back(session, reversion, memory_id)
    if isinstance(change, Step):
        return change
    memories.update(session, principal, memory_id, change, index, ActivityKind.RESTORE)
    return Step(1)


def _change_back(session: Session, reversion: Reversion, memory_id: str) -> MemoryChange | Step:
    """Return the change that restores the version before the source's work, or a Step if there is nothing to undo."""
    memory = _locked(session, reversion, memory_id)
    work = _Work.NOT_LAST if memory is None else _work_on(session, memory, reversion)
    if memory is None or work is not _Work.CHANGED:
        return Step(0, skipped=int(work is _Work.NOT_LAST))
    return restoring_change(session, memory, _before(_states(session, memory), reversion))


def _touched(reversion: Reversion) -> sa.Select[Memory]:
    """Return the query for the memories of the project that the source changed since that time."""
    has_version = sa.exists().where(  # looks at the versions of this project's memories, not at everybody's
        col(MemoryVersion.memory_number) == Memory.number,
        _id_of(MemoryVersion.source) == reversion.source_id,
        col(MemoryVersion.updated_at) >= reversion.since,
    )
    worked_on = sa.or_(
        sa.and_(col(Memory.source_id) == reversion.source_id, col(Memory.stored_at) >= reversion.since),
        sa.and_(_id_of(Memory.updated_source) == reversion.source_id, col(Memory.updated_at) >= reversion.since),
        has_version,
    )
    query = sa.select(Memory).where(col(Memory.project_id) == reversion.project_id, is_live(now()), worked_on)
    return query.order_by(col(Memory.id)).options(WITHOUT_MESSAGES).execution_options(yield_per=CHUNK_MEMORIES)


def _trashed(reversion: Reversion) -> sa.Select[TrashedMemory]:
    return trash.restorable_in(reversion.project_id).where(
        _id_of(TrashedMemory.source) == reversion.source_id, col(TrashedMemory.deleted_at) >= reversion.since
    )


def _deleted_by_others(session: Session, reversion: Reversion) -> int:
    """Count the memories in the trash that the source had changed before somebody else deleted them."""
    changed_by = sa.type_coerce(col(TrashedMemory.memory), sa.JSON)["updated_source", "id"].as_string()
    deleted_by = sa.func.coalesce(_id_of(TrashedMemory.source), "")
    others = trash.restorable_in(reversion.project_id).where(
        changed_by == reversion.source_id, deleted_by != reversion.source_id
    )
    memories_of_others = _memories_in(session, others)
    return sum(_is_own(_current(one), reversion) and not _is_addition(one, reversion) for one in memories_of_others)


def _memories_in(session: Session, trashed: sa.Select[TrashedMemory]) -> Iterator[Memory]:
    """Yield the memories of these rows with their last values."""
    return (read_row(Memory, row.memory) for row in session.scalars(trashed))


def _id_of(column: Any) -> sa.ColumnElement[str]:
    """Return the id of a source in SQL."""
    written: sa.ColumnElement[str] = sa.type_coerce(column, sa.JSON)["id"].as_string()
    return written


def _locked(session: Session, reversion: Reversion, memory_id: str) -> Memory | None:
    query = sa.select(Memory).where(
        col(Memory.id) == memory_id, col(Memory.project_id) == reversion.project_id, is_live(now())
    )
    return session.scalars(query.with_for_update(), execution_options={"populate_existing": True}).one_or_none()


def _work_on(session: Session, memory: Memory, reversion: Reversion) -> _Work:
    """Return what the source last did to the memory."""
    states = _states(session, memory)
    if not _is_own(states[0], reversion):
        return _Work.UNDONE if _is_undone(session, memory, states, reversion) else _Work.NOT_LAST
    if _before(states, reversion):
        return _Work.CHANGED
    return _Work.ADDED if _is_addition(memory, reversion) else _Work.BEYOND_HISTORY


def _is_undone(session: Session, memory: Memory, states: Sequence[_State], reversion: Reversion) -> bool:
    """Return whether someone already restored the version before the source's changes."""
    before = _before(list(dropwhile(lambda state: not _is_own(state, reversion), states)), reversion)
    return before > 0 and memories.is_already(memory, restoring_change(session, memory, before))


def _before(states: Sequence[_State], reversion: Reversion) -> int:
    """Return the last version before the source's changes, with which `states` begins; 0 if none is kept."""
    own_count = len(list(takewhile(lambda state: _is_own(state, reversion), states)))
    return states[own_count].version if own_count < len(states) else 0


def _states(session: Session, memory: Memory) -> list[_State]:
    """Return the current version and those before it, newest first."""
    columns = (col(MemoryVersion.version), col(MemoryVersion.source), col(MemoryVersion.updated_at))
    query = sa.select(*columns).where(col(MemoryVersion.memory_number) == memory.number)
    earlier = session.execute(query.order_by(col(MemoryVersion.version).desc())) if memory.version > 1 else ()
    states = [_current(memory), *map(_State._make, earlier)]
    return [state._replace(moment=memory.stored_at) if state.version == 1 else state for state in states]


def _current(memory: Memory) -> _State:
    return _State(memory.version, memory.updated_source, memory.updated_at)


def _is_addition(memory: Memory, reversion: Reversion) -> bool:
    return (
        memory.source_id == reversion.source_id and memory.stored_at is not None and memory.stored_at >= reversion.since
    )


def _is_own(state: _State, reversion: Reversion) -> bool:
    source, moment = state.source, state.moment
    return source is not None and source.id == reversion.source_id and moment is not None and moment >= reversion.since
