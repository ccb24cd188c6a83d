"""Computes, before an operation runs, how much it counts against its rate limit, and in which project."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlmodel import Session

from server.domain.access import Action, require_memory
from server.domain.memory import examples, trash
from server.domain.memory.changes import MemoryPatch, merged_change, restoring_change
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.memories import embedding_input_after
from server.domain.memory.search import SearchRequest
from server.domain.memory.storing import embedding_input
from server.index.pieces import pieces_of
from server.index.words.titles import words_beside
from server.models import Memory
from server.principal import Principal

PIECES_REWRITTEN = 10
"""Writing the words of this many pieces again takes about as long as embedding one."""


class Charge(NamedTuple):
    """`project_id` is the project that a session names. A key or token reaches only one project."""

    project_id: str | None = None
    size: int = 1


def of_request(_session: Session, _principal: Principal, request: NewMemory | SearchRequest, *_more: object) -> Charge:
    return Charge(request.project_id)


def of_batch(_session: Session, _principal: Principal, new_memories: Sequence[NewMemory], *_more: object) -> Charge:
    return Charge(new_memories[0].project_id, len(new_memories))


def of_examples(_session: Session, _principal: Principal, project_id: str, *_more: object) -> Charge:
    return Charge(project_id, examples.COUNT)


def of_change(session: Session, principal: Principal, memory_id: str, change: MemoryChange, *_more: object) -> Charge:
    """Count the pieces that the change embeds, or a tenth of those that it only gives other words; at least 1.

    Raises the errors of `memories.update`.
    """
    return _of_change(require_memory(session, principal, memory_id, Action.WRITE, lock=False), change)


def of_merge(session: Session, principal: Principal, memory_id: str, patch: MemoryPatch, *_more: object) -> Charge:
    """Like `of_change`. Raises the errors of `changes.merge`."""
    memory = require_memory(session, principal, memory_id, Action.WRITE, lock=False)
    return _of_change(memory, merged_change(memory, patch))


def of_restoration(session: Session, principal: Principal, memory_id: str, version: int, *_more: object) -> Charge:
    """Like `of_change`. Raises the errors of `changes.restore`."""
    memory = require_memory(session, principal, memory_id, Action.WRITE, lock=False)
    return _of_change(memory, restoring_change(session, memory, version))


def _of_change(memory: Memory, change: MemoryChange) -> Charge:
    wanted = embedding_input_after(change, memory)
    if wanted != embedding_input(memory.content, memory.details):
        pieces = memory.piece_count if change.text is None else len(pieces_of(*wanted))
        return Charge(memory.project_id, max(1, pieces))
    beside = words_beside(memory.details if change.metadata is None else change.metadata)
    is_rewritten = beside != words_beside(memory.details)
    return Charge(memory.project_id, max(1, memory.piece_count // PIECES_REWRITTEN) if is_rewritten else 1)


def of_one(session: Session, principal: Principal, memory_id: str, *_more: object) -> Charge:
    """Count a deletion, or a return from the trash. Raises the errors of `trash.project_of`."""
    return Charge(trash.project_of(session, principal, memory_id))


def of_project(_session: Session, _principal: Principal, project_id: str | None, *_more: object) -> Charge:
    return Charge(project_id)


def of_selection(
    _session: Session, _principal: Principal, project_id: str, ids: Sequence[str], *_more: object
) -> Charge:
    return Charge(project_id, max(1, len(ids)))
