"""Deletes one memory (to the trash, or permanently), or all memories of a project."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, turns
from server.domain.access import Action, require_memory, require_project
from server.domain.audit import Event
from server.domain.memory import activity, late_words, storing, trash, unfinished
from server.index import chunks, outbox
from server.models import Memory
from server.models.activity import ActivityKind
from server.models.base import now
from server.models.expiry import is_live
from server.principal import Principal


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
    is_long = late_words.is_long(memory)
    if is_long:
        memory.expires_at = now()
        turns.end_turn(session)
    storing.remove(session, memory.project_id, [memory.number])
    if is_long:
        turns.end_turn(session)


def delete_all(session: Session, principal: Principal, project_id: str | None, user_id: str | None = None) -> int:
    """Delete all memories of the project, or those of the end user `user_id`, including those in the trash. Return how
    many were deleted, not counting expired memories and those in the trash.

    Many memories take several transactions, which delete the memories that existed during the first one. After an
    interruption, another call deletes the rest.
    """
    project = require_project(session, principal, project_id, Action.WRITE)
    unfinished.finish_project(session, project.id)  # otherwise the rest of an import would appear after the deletion
    project = require_project(session, principal, project.id, Action.WRITE)
    moment = now()
    of_user = [] if user_id is None else [col(Memory.user_id) == user_id]
    matching = [col(Memory.project_id) == project.id, *of_user]
    newest, count = session.execute(
        sa.select(sa.func.max(col(Memory.number)), sa.func.count().filter(is_live(moment))).where(*matching)
    ).one()
    gone = count + trash.count_deleted(session, project.id, user_id, moment)
    if gone:
        activity.note(session, principal, project.id, ActivityKind.DELETE, count=gone)
        audit.record_memories(
            session, Event.MEMORIES_DELETED, principal, project, gone, only_one_end_user=user_id is not None
        )

    def remove_some() -> bool:
        numbers = chunks.next_numbers(session, *matching, col(Memory.number) <= (newest or 0))
        storing.remove_part(session, project.id, numbers)
        return bool(numbers) or trash.erase_some(session, project.id, user_id, moment)

    turns.repeat(session, remove_some)
    if newest or gone:
        outbox.request_purge(session, project.id)
    return int(count)
