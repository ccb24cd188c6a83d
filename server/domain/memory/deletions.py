"""Deletes one memory (to the trash, or permanently), or all memories of a project."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, turns
from server.domain.access import Action, require_memory, require_project
from server.domain.audit import Event
from server.domain.locks import locked_work
from server.domain.memory import activity, counting, expiry, imports, storing, trash, unfinished
from server.domain.memory.filters import Filters
from server.index import outbox
from server.models import BegunDeletion, Memory
from server.models.activity import ActivityKind
from server.models.base import is_of_later_clock, now
from server.models.projects import deleted_projects
from server.principal import Principal
from server.storage import chunks

RESUMED_AFTER = timedelta(seconds=5)
"""If a deletion that has begun does not continue for this long, housekeeping continues it."""


def delete(session: Session, principal: Principal, memory_id: str, permanent: bool = False) -> datetime | None:
    """Delete the memory with all its versions. Return the time until which it can be restored, or None if it is deleted
    permanently.

    With `permanent` it may be in the trash. Raises NotFound, Forbidden, InsufficientScope.
    """
    if permanent and trash.erase(session, principal, memory_id):
        return None
    memory = require_memory(session, principal, memory_id, Action.WRITE)
    return remove(session, principal, memory, 0 if permanent else trash.days_of(session, memory.project_id))


def remove(session: Session, principal: Principal, memory: Memory, days: int) -> datetime | None:
    """Delete a memory that is locked, and keep it in the trash for `days` days; 0 deletes it permanently.

    Returns the same as `delete`.
    """
    until = trash.keep(session, principal, memory, days) if days else None
    activity.note(session, principal, memory.project_id, ActivityKind.DELETE, [memory.id])
    if until:
        end(session, memory)
    else:
        storing.remove(session, memory.project_id, [memory.number])
    return until


def end(session: Session, memory: Memory) -> None:
    """Delete a memory that is in the trash too: a long one in a transaction of its own, after one that hides it.

    A hidden memory has expired. After a crash, housekeeping deletes it as it does all expired memories.
    """
    is_long = storing.is_long(memory)
    if is_long:
        expiry.hide(memory)
        turns.end_turn(session)
    storing.remove(session, memory.project_id, [memory.number])
    if is_long:
        turns.end_turn(session)


def delete_all(session: Session, principal: Principal, project_id: str | None, user_id: str | None = None) -> int:
    """Delete all memories of the project, or those of the end user `user_id`, including those in the trash. Return how
    many were deleted, not counting expired memories and those in the trash.

    Many memories take several transactions. The first one records the deletion of the memories that exist then, so
    that after an interruption housekeeping deletes the rest.
    """
    project = require_project(session, principal, project_id, Action.WRITE)
    imports.finish_project(session, project.id)  # otherwise the rest of an import would appear after the deletion
    project = require_project(session, principal, project.id, Action.WRITE)
    moment = now()
    count = counting.count(session, project, Filters(user_id=user_id))
    gone = count + trash.count_deleted(session, project.id, user_id, moment)
    if gone:
        activity.note(session, principal, project.id, ActivityKind.DELETE, count=gone)
        audit.record_memories(
            session, Event.MEMORIES_DELETED, principal, project, gone, only_one_end_user=user_id is not None
        )
    one = sa.select(col(Memory.number)).where(*_of(project.id, user_id)).limit(1)  # may have expired
    if gone or session.scalar(one) is not None:
        newest = session.scalar(sa.select(sa.func.max(col(Memory.number)))) or 0  # of all projects: an index tells it
        begun = BegunDeletion(project_id=project.id, user_id=user_id, newest=newest, created_at=moment)
        session.add(begun)
        session.flush()
        turns.repeat(session, partial(delete_more, session, begun.id))
    return count


def delete_more(session: Session, deletion_id: str) -> bool:
    """Delete some of the memories of a deletion that has begun, and its row after the last. Return whether there may be
    more. Several processes may work on the same deletion.
    """
    begun = locked_work(session, BegunDeletion, deletion_id)
    if begun is None:  # finished by another process, or deleted with its project
        return False
    begun.touched_at = now()
    project_id, user_id = begun.project_id, begun.user_id
    numbers = chunks.next_numbers(session, *_of(project_id, user_id), col(Memory.number) <= begun.newest)
    if numbers:
        storing.remove_part(session, project_id, numbers)
        return True
    if trash.erase_some(session, project_id, user_id, begun.created_at):
        return True
    outbox.request_purge(session, project_id)
    session.delete(begun)
    session.flush()
    return False


def left_behind(session: Session, started_at: datetime) -> Sequence[str]:
    """Return the deletions that have begun and that no process works on. A process that started at `started_at` also
    gets all from before.
    """
    touched_at = col(BegunDeletion.touched_at)
    is_of_before = touched_at <= max(started_at, now() - RESUMED_AFTER)
    is_left = is_of_before | is_of_later_clock(touched_at, unfinished.ABANDONED_AFTER)
    is_deleted = col(BegunDeletion.project_id).in_(deleted_projects())
    return session.scalars(sa.select(col(BegunDeletion.id)).where(is_left, ~is_deleted)).all()


def _of(project_id: str, user_id: str | None) -> list[sa.ColumnElement[bool]]:
    of_project = [col(Memory.project_id) == project_id]
    return of_project if user_id is None else [*of_project, col(Memory.user_id) == user_id]
