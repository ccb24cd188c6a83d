"""The trash: a deleted memory moves to a separate table, so that no query of memories needs to know about it. Until its
time in the trash is over, it can be restored with its id and all its versions.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col

from server.domain import turns
from server.domain.access import NO_MEMORY, Action, require_memory, require_project
from server.domain.locks import lock_project_shared
from server.domain.memory import activity, copies, unfinished, usage
from server.domain.memory.budget import ROWS_PER_READ, Budget, size_of
from server.domain.memory.copies import MemoryCopy
from server.domain.memory.expiry import LONG_AGO
from server.domain.memory.source import source_of
from server.domain.memory.storing import is_long, remove
from server.errors import Invalid, NotFound
from server.index import outbox
from server.models import Memory, Project, TrashedMemory, metadata
from server.models.activity import ActivityKind
from server.models.base import Utc, is_id, now
from server.models.memories import has_expired
from server.principal import Principal
from server.quotas import TRASH_DAYS
from server.storage import chunks
from server.storage.database import trash_days_of
from server.storage.statements import Query, count_rows

_trashed = metadata.tables["trashed_memories"]
_ONLY_MEMORY = [
    defer(column, raiseload=True)  # type: ignore[arg-type]  # SQLModel types columns by their value
    for column in (TrashedMemory.versions, TrashedMemory.spans, TrashedMemory.vectors)
]


@dataclass(frozen=True, slots=True)
class TrashRequest:
    """A page of the trash: at most `limit` memories that were deleted before the time `before`, skipping `offset`."""

    project_id: str | None = None
    user_id: str | None = None
    limit: int = 10
    offset: int = 0
    before: datetime | None = None
    spare: int = 0  # how many memories at the end only show that there are more; the activity log does not count them


class Trashed(NamedTuple):
    """A memory in the trash, with its last values, and the row that keeps it."""

    memory: Memory
    row: TrashedMemory


class TrashPage(NamedTuple):
    """Memories in the trash, most recently deleted first; the total of all; their size in an answer.

    `is_cut` says that the rest of the page did not fit.
    """

    trashed: list[Trashed]
    total: int
    size: int
    is_cut: bool


def days_of(session: Session, project_id: str) -> int:
    """Return how many days the project keeps deleted memories. 0 means that it keeps none."""
    row = _DAYS.row(session, project=project_id)
    return trash_days_of(session) if row is None or row[0] is None else int(row[0])


def days_of_revert(session: Session, project_id: str) -> int:
    """Return how many days the trash keeps what a revert deletes: never 0, so that a revert can be undone."""
    return days_of(session, project_id) or trash_days_of(session) or TRASH_DAYS


def days(session: Session, principal: Principal, project_id: str) -> int:
    """Like `days_of`, for a principal. Raises the errors of `require_project`."""
    return days_of(session, require_project(session, principal, project_id, Action.READ).id)


def keep(session: Session, principal: Principal, memory: Memory, days: int) -> datetime:
    """Keep a memory that is about to be deleted. Return the time until which it can be restored: for `days` days, but
    not after its expiry.
    """
    moment = now()
    until = moment + timedelta(days=days)
    until = min(until, memory.expires_at or until)
    _forget_ended(session, memory.id)
    _KEEP.rows(
        session,
        id=memory.id,
        project_id=memory.project_id,
        user_id=memory.user_id,
        **copies.copy_of(session, memory)._asdict(),
        expires_at=memory.expires_at,
        deleted_at=moment,
        deleted_until=until,
        deleted_by=principal.user_id,
        source=source_of(principal),
    )
    return until


def list_trash(session: Session, principal: Principal, request: TrashRequest) -> TrashPage:
    """Return a page of the project's trash, as many memories as fit into an answer.

    Raises the errors of `require_project`.
    """
    project = require_project(session, principal, request.project_id, Action.READ)
    matching = [*_restorable(), *_of(project.id, request.user_id)]
    query = sa.select(TrashedMemory).where(*matching).options(*_ONLY_MEMORY)
    if request.before is not None:
        query = query.where(col(TrashedMemory.deleted_at) < request.before)
    query = query.order_by(col(TrashedMemory.deleted_at).desc(), col(TrashedMemory.id).desc())
    budget, is_cut = Budget(), False
    trashed: list[Trashed] = []
    page = query.limit(request.limit).offset(request.offset).execution_options(yield_per=ROWS_PER_READ)
    with session.scalars(page) as found:
        for row in found:
            memory = copies.read_row(Memory, row.memory)
            if is_cut := not budget.take(size_of(memory.content, memory.details)):
                break
            trashed.append(Trashed(memory, row))
    total = count_rows(session, TrashedMemory, *matching)
    shown = trashed[: request.limit - request.spare]
    activity.note(session, principal, project.id, ActivityKind.LIST, (one.memory.id for one in shown))
    return TrashPage(trashed, total, budget.used, is_cut)


def restorable_in(project_id: str) -> sa.Select[TrashedMemory]:
    """Return the query for the project's memories that can be restored from the trash."""
    matching = [*_restorable(), *_of(project_id, None)]
    query = sa.select(TrashedMemory).where(*matching).options(*_ONLY_MEMORY).order_by(col(TrashedMemory.id))
    return query.execution_options(yield_per=ROWS_PER_READ)


def restore(session: Session, principal: Principal, memory_id: str) -> Memory:
    """Bring a memory back from the trash, with its id and its versions.

    Raises NotFound, Forbidden, InsufficientScope, QuotaExceeded, and Invalid for a memory that is not in the trash.
    """
    row = _find(session, principal, memory_id)
    if row is None:
        require_memory(session, principal, memory_id, Action.WRITE, lock=False)
        raise Invalid("is required for a memory that is not in the trash.", field="version")
    activity.note(session, principal, row.project_id, ActivityKind.RESTORE, [row.id])
    return bring_back(session, row)


def bring_back(session: Session, found: TrashedMemory) -> Memory:
    """Move a memory out of the trash. Raises QuotaExceeded, and NotFound if somebody else did it first."""
    row = _locked(session, found)
    usage.require_room_for(session, row.project_id, [copies.read_row(Memory, row.memory)])
    # A long memory may only be hidden yet.
    numbers = session.scalars(sa.select(col(Memory.number)).where(col(Memory.id) == row.id, has_expired(now()))).all()
    remove(session, row.project_id, numbers)
    copy = MemoryCopy(row.memory, row.versions, row.spans, row.embedding_model, row.vectors)
    memory = copies.store(session, row.project_id, copy)
    if is_long(memory):  # deleting its row takes as long as writing it
        row.deleted_until = LONG_AGO  # also for those who wait for the row since before
        unfinished.write_words(session, memory)
        _forget_ended(session, row.id)
    else:
        session.delete(row)
    session.flush()
    return memory


def bring_back_all(session: Session, principal: Principal, project_id: str, found: Iterable[TrashedMemory]) -> int:
    """Move the project's memories out of the trash in turns. Return how many. Those that somebody else has brought
    back or deleted permanently are skipped. Raises QuotaExceeded.
    """
    restored = []
    for row in turns.each(session, found):
        with suppress(NotFound):
            restored.append(bring_back(session, row).id)
    if restored:
        activity.note(session, principal, project_id, ActivityKind.RESTORE, restored)
    return len(restored)


def _locked(session: Session, found: TrashedMemory) -> TrashedMemory:
    """Return the row that is still in the trash, with its vectors. Raises NotFound."""
    is_there = lock_project_shared(session, found.project_id)
    query = sa.select(TrashedMemory).where(col(TrashedMemory.id) == found.id, *_restorable()).with_for_update()
    row = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if row is None or not is_there:
        raise NotFound(NO_MEMORY)
    return row


def _forget_ended(session: Session, memory_id: str) -> None:
    """Delete the row of a long memory that has left the trash."""
    _FORGET_ENDED.rows(session, memory_id=memory_id, moment=now())


def erase(session: Session, principal: Principal, memory_id: str) -> bool:
    """Permanently delete a memory in the trash. Return whether it was in the trash. Raises the errors of `restore`."""
    row = _find(session, principal, memory_id)
    if row is None:
        return False
    erased = sa.delete(TrashedMemory).where(col(TrashedMemory.id) == row.id, *_restorable())
    if session.scalar(erased.returning(col(TrashedMemory.id))) is None:
        return False  # somebody else restored it or deleted it
    activity.note(session, principal, row.project_id, ActivityKind.DELETE, [row.id])
    outbox.request_purge(session, row.project_id)
    return True


def count_deleted(session: Session, project_id: str, user_id: str | None, until: datetime) -> int:
    """Count the memories that were deleted before this time and are in the trash of the project or of one end user."""
    return count_rows(session, TrashedMemory, *_of(project_id, user_id), col(TrashedMemory.deleted_at) <= until)


def erase_some(session: Session, project_id: str, user_id: str | None, until: datetime) -> bool:
    """Permanently delete some of the memories that `count_deleted` counts. Return whether there were any.

    When there are none left, the caller must call `outbox.request_purge`.
    """
    return chunks.delete_some(session, _trashed, *_of(project_id, user_id), col(TrashedMemory.deleted_at) <= until)


def is_over(moment: datetime) -> sa.ColumnElement[bool]:
    """Return the condition for memories whose time in the trash is over."""
    return sa.or_(col(TrashedMemory.deleted_until) <= moment, col(TrashedMemory.expires_at) <= moment)


def purge(session: Session) -> int:
    """Delete some memories whose time in the trash is over. Return how many. Call it until it returns 0."""
    keys = chunks.next_keys(session, _trashed, is_over(now()))
    is_chosen = col(TrashedMemory.id).in_([memory_id for (memory_id,) in keys])
    for project_id in session.scalars(sa.select(col(TrashedMemory.project_id)).where(is_chosen).distinct()).all():
        outbox.request_purge(session, project_id)
    return chunks.delete_keys(session, _trashed, keys)


def project_of(session: Session, principal: Principal, memory_id: str) -> str:
    """Return the project of a memory that the principal may change, even if it is in the trash. Raises NotFound."""
    try:
        return require_memory(session, principal, memory_id, Action.WRITE, lock=False).project_id
    except NotFound:
        row = _find(session, principal, memory_id)
        if row is None:
            raise
    return row.project_id


def require_in_project(session: Session, principal: Principal, memory_id: str, project_id: str) -> None:
    """Raises NotFound unless the memory, perhaps in the trash, is in the project, and the errors of `project_of`."""
    if project_of(session, principal, memory_id) != project_id:
        raise NotFound(NO_MEMORY)


def _find(session: Session, principal: Principal, memory_id: str) -> TrashedMemory | None:
    """Return the row of a memory in the trash. Raises NotFound for one out of reach, Forbidden, InsufficientScope."""
    if not is_id("mem_", memory_id):
        return None
    query = sa.select(TrashedMemory).where(col(TrashedMemory.id) == memory_id, *_restorable())
    row = session.scalars(query.options(*_ONLY_MEMORY)).one_or_none()
    if row is not None:
        try:
            require_project(session, principal, row.project_id, Action.WRITE)
        except NotFound:
            raise NotFound(NO_MEMORY) from None
    return row


def _restorable() -> list[sa.ColumnElement[bool]]:
    """Return the conditions for memories that can still be restored."""
    moment = now()
    expires_at = col(TrashedMemory.expires_at)
    return [col(TrashedMemory.deleted_until) > moment, sa.or_(expires_at.is_(None), expires_at > moment)]


def _of(project_id: str, user_id: str | None) -> list[sa.ColumnElement[bool]]:
    matching = [col(TrashedMemory.project_id) == project_id]
    return matching if user_id is None else [*matching, col(TrashedMemory.user_id) == user_id]


_DAYS = Query(sa.select(col(Project.trash_days)).where(col(Project.id) == sa.bindparam("project")))
_KEEP = Query(sa.insert(_trashed))
_FORGET_ENDED = Query(
    sa.delete(_trashed).where(
        _trashed.c.id == sa.bindparam("memory_id"), _trashed.c.deleted_until <= sa.bindparam("moment", type_=Utc)
    )
)
