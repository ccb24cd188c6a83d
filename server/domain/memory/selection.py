"""Actions on several memories of a project at once, in turns of a few memories. After an interruption, some of them are
done and can be repeated.

Memories that someone has deleted are skipped.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import turns
from server.domain.access import NO_MEMORY, Action, require_memory, require_project
from server.domain.locks import lock_project
from server.domain.memory import activity, deletions, memories, moves, storing, trash, unfinished, usage
from server.domain.memory.changes import MemoryPatch, merged_change
from server.domain.memory.inputs import MemoryChange
from server.domain.memory.labels import MOST_VALUES, PEOPLE, TAGS, distinct, like, parse_list
from server.errors import Invalid, NotFound
from server.index import Index
from server.models import Memory, TrashedMemory
from server.models.activity import ActivityKind
from server.models.base import JSON
from server.models.stored_size import TOTAL_SIZE
from server.principal import Principal

MOST_SELECTED = 100


def pin(
    session: Session, principal: Principal, project_id: str, ids: Sequence[str], is_pinned: bool, index: Index
) -> int:
    """Pin the memories, or unpin them. Return how many of them exist. Raises the errors of `memories.update`."""
    change = MemoryChange.model_validate({"pinned": is_pinned})
    selected = _in_order(session, principal, project_id, ids)
    return _each(
        session, principal, project_id, selected, lambda one: memories.update(session, principal, one, change, index)
    )


def tag(session: Session, principal: Principal, project_id: str, ids: Sequence[str], tags: str, index: Index) -> int:
    """Add tags, given as comma-separated text. Return how many memories got them.

    Raises Invalid, and the errors of `memories.update`.
    """
    try:
        new = parse_list(tags)
    except ValueError as reason:
        raise Invalid(f"{reason}.", field="tags") from None
    if not new:
        raise Invalid("enter at least one tag.", field="tags")

    def tagged(memory: Memory) -> MemoryChange:
        return merged_change(memory, MemoryPatch(tags=_joined(memory, [memory.details.get(TAGS), list(new)], TAGS)))

    selected = _in_order(session, principal, project_id, ids)
    for memory_id in selected:
        if memory := _in_project(session, principal, project_id, memory_id, lock=False):
            tagged(memory)  # refuses too many tags, before another memory has them
    return _each(
        session, principal, project_id, selected, lambda one: memories.update(session, principal, one, tagged, index)
    )


def delete(session: Session, principal: Principal, project_id: str, ids: Sequence[str]) -> int:
    """Delete the memories as `deletions.delete` does. Return how many."""
    selected = _in_order(session, principal, project_id, ids)
    return _each(session, principal, project_id, selected, lambda one: deletions.delete(session, principal, one))


def undo_deletion(session: Session, principal: Principal, project_id: str, since: datetime, until: datetime) -> int:
    """Bring back what the principal deleted from `since` to `until`. Return how many memories. Those that somebody else
    has restored or deleted permanently are skipped. Raises the errors of `require_project`, and QuotaExceeded.
    """
    require_project(session, principal, project_id, Action.WRITE)
    own = trash.restorable_in(project_id).where(
        col(TrashedMemory.deleted_by) == principal.user_id, col(TrashedMemory.deleted_at).between(since, until)
    )
    return trash.bring_back_all(session, principal, project_id, session.scalars(own.limit(MOST_SELECTED)).all())


def move(session: Session, principal: Principal, project_id: str, ids: Sequence[str], target_id: str) -> int:
    """Move the memories to another project, with their ids, versions and vectors. Return how many.

    Raises NotFound, Forbidden, QuotaExceeded if the other project is full, and Invalid if it is the same project.
    """
    selected = _in_order(session, principal, project_id, ids)
    target = require_project(session, principal, target_id, Action.WRITE)
    if target.id == project_id:
        raise Invalid("choose another project.", field="target")
    are_selected = (col(Memory.project_id) == project_id, col(Memory.id).in_(selected))
    sizes = session.execute(sa.select(sa.func.count(), TOTAL_SIZE).where(*are_selected)).one()
    usage.require_room(session, target.id, *sizes)

    arrived: list[str] = []

    def move_one(memory_id: str) -> None:
        memory = require_memory(session, principal, memory_id, Action.WRITE)
        require_project(session, principal, target.id, Action.WRITE, lock=True)
        for one in sorted((project_id, target.id)):  # so that moves in opposite directions cannot deadlock
            lock_project(session, one)
        usage.require_room_for(session, target.id, [memory])
        if storing.is_long(memory):
            unfinished.finish_later(session, moves.begin(session, memory, target.id))
        else:
            moves.move(session, memory, target.id)
        arrived.append(memory_id)

    count = _each(session, principal, project_id, selected, move_one)
    activity.note(session, principal, project_id, ActivityKind.DELETE, count=count)
    activity.note(session, principal, target.id, ActivityKind.ADD, arrived)
    return count


def merge(
    session: Session, principal: Principal, project_id: str, ids: Sequence[str], keep_id: str, index: Index
) -> int:
    """Keep one of the memories, give it the tags, people and pin of the others and the latest expiry of all, and delete
    the others as `delete` does.

    Return how many were deleted. Raises NotFound if the one to keep is not in the project, and the errors of `delete`.
    """
    selected = _in_order(session, principal, project_id, [keep_id, *ids])
    found = [memory for memory in map(partial(_in_project, session, principal, project_id), selected) if memory]
    to_delete = [memory for memory in found if memory.id != keep_id]
    if len(to_delete) == len(found):
        raise NotFound(NO_MEMORY)

    def merged(memory: Memory) -> MemoryChange:
        every = [memory, *to_delete]
        labels = {key: _joined(memory, [one.details.get(key) for one in every], key) for key in (TAGS, PEOPLE)}
        patch: dict[str, object] = {key: value for key, value in labels.items() if value}
        patch["pinned"] = any(one.pinned for one in every)
        expiries = [one.expires_at for one in every if one.expires_at]
        latest = max(expiries) if len(expiries) == len(every) else None
        return merged_change(memory, MemoryPatch.model_validate(patch).model_copy(update={"expires_at": latest}))

    memories.update(session, principal, keep_id, merged, index)
    return delete(session, principal, project_id, [memory.id for memory in to_delete]) if to_delete else 0


def _joined(memory: Memory, many: Sequence[JSON], key: str) -> list[str] | str:
    """Return all these labels, each once, in the form that the memory uses: a list or comma-separated text.

    Raises Invalid if a memory may not have that many.
    """
    names = distinct([name for labels in many for name in parse_list(labels)])
    if len(names) > MOST_VALUES:
        raise Invalid(f"a memory can have at most {MOST_VALUES}: choose fewer memories.", field=key)
    return like(memory.details.get(key), names)


def _in_project(
    session: Session, principal: Principal, project_id: str, memory_id: str, *, lock: bool = True
) -> Memory | None:
    """Return the memory, or None if it is no longer in the project. Lock it unless `lock` is false."""
    try:
        memory = require_memory(session, principal, memory_id, Action.WRITE, lock=lock)
    except NotFound:
        return None
    return memory if memory.project_id == project_id else None


def _in_order(session: Session, principal: Principal, project_id: str, ids: Sequence[str]) -> Sequence[str]:
    """Return the selected ids, newest first as in `chunks.locked`, so that two people cannot deadlock.

    Raises Invalid if there are none or too many, and the errors of `require_project`.
    """
    in_order = sorted(set(ids), reverse=True)
    if not 0 < len(in_order) <= MOST_SELECTED:
        raise Invalid(f"select between 1 and {MOST_SELECTED} memories.", field="ids")
    require_project(session, principal, project_id, Action.WRITE)
    return in_order


def _each(
    session: Session, principal: Principal, project_id: str, selected: Sequence[str], act: Callable[[str], object]
) -> int:
    """Call `act` in turns for each selected memory that is still in the project. Return how many."""
    count = 0
    for memory_id in turns.each(session, selected):
        if _in_project(session, principal, project_id, memory_id):
            act(memory_id)
            count += 1
    return count
