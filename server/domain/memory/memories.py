"""Memories: add, read, change, delete. SQL keeps them; the index learns of every change in the same transaction."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.database import id_subquery, paused
from server.domain.access import Action, require_memory, require_project
from server.domain.locks import lock_project_shared
from server.domain.memory import idempotency, labels
from server.domain.memory.filters import Filters, conditions
from server.domain.memory.idempotency import CreateRequest
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.periods import week_of
from server.errors import Invalid
from server.index import MemoryIndex, outbox
from server.index.outbox import Embedded
from server.index.pieces import lead_from
from server.models import Label, Memory, MemoryVersion
from server.models.base import JsonObject, new_id, now
from server.models.memories import LabelKind
from server.principal import Principal

__all__ = ["MemoryChange", "NewMemory"]  # what callers hand in is part of this module's face


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page, newest first: after `before` (a memory's id) and `offset` more."""

    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    offset: int = 0
    before: str | None = None
    project_id: str | None = None


class MemoryPage(NamedTuple):
    """A page, and how many there are within the filters in all."""

    memories: Sequence[Memory]
    total: int


class Stats(NamedTuple):
    total: int
    this_week: int
    tag_count: int


def add(
    session: Session, principal: Principal, new: NewMemory, index: MemoryIndex, idempotency_key: str | None = None
) -> str:
    """Store one memory and answer its id; the very next search finds it."""
    return add_many(session, principal, [new], index, idempotency_key)[0]


def add_many(
    session: Session,
    principal: Principal,
    news: Sequence[NewMemory],
    index: MemoryIndex,
    idempotency_key: str | None = None,
) -> list[str]:
    """Store all or nothing; the ids are in the order of what was given. All go to the project that the first names.

    Raises Invalid when they name several, KeyUsedForAnother.
    """
    if len({new.project_id for new in news}) > 1:
        raise Invalid("all memories of one request must name the same project.", field="project_id")
    project = require_project(session, principal, news[0].project_id, Action.WRITE)
    attempt = _attempt(project.id, principal, news, idempotency_key)
    if attempt and (earlier := idempotency.earlier_answer(session, attempt)):
        return earlier
    with paused(session):
        embedded = index.embedded([embedding_input(new.content, new.metadata) for new in news])
    lock_project_shared(session, project.id)
    require_project(session, principal, project.id, Action.WRITE)
    memories = [_row(new, project.id, principal.user_id) for new in news]
    ids = [memory.id for memory in memories]
    if (
        attempt
        and not idempotency.claim(session, attempt, ids)
        and (earlier := idempotency.earlier_answer(session, attempt))
    ):
        return earlier
    insert(session, project.id, memories, embedded)
    return ids


def get(session: Session, principal: Principal, memory_id: str) -> Memory:
    """Raises NotFound."""
    return require_memory(session, principal, memory_id, Action.READ)


def list_memories(session: Session, principal: Principal, listing: ListRequest) -> MemoryPage:
    project = require_project(session, principal, listing.project_id, Action.READ)
    wanted = conditions(listing.filters, project.id)
    page = sa.select(Memory).where(*wanted).order_by(col(Memory.id).desc()).limit(listing.limit).offset(listing.offset)
    if listing.before is not None:
        page = page.where(col(Memory.id) < listing.before)
    memories = session.scalars(page).all()
    total = project.memory_count if listing.filters.is_empty else _count(session, wanted)
    return MemoryPage(memories, total)


def update(session: Session, principal: Principal, memory_id: str, change: MemoryChange, index: MemoryIndex) -> Memory:
    """Replace the text, the metadata or both; what it was becomes a version, unless it is that already.

    Raises NotFound.
    """
    memory = require_memory(session, principal, memory_id, Action.WRITE)
    before, embedded = _text(memory), None
    text = _text(memory, change)
    while text != before:
        with paused(session):
            embedded = index.embedded([text])
        memory = require_memory(session, principal, memory_id, Action.WRITE)
        before, text = text, _text(memory, change)  # another change may have come in between: embed what is true now
    if _is_already(memory, change):
        return memory
    _keep_version(session, memory)
    _apply(session, memory, change, principal.user_id)
    if embedded is not None:
        outbox.memories_changed(session, memory.project_id, [memory], embedded)
    return memory


def history(session: Session, principal: Principal, memory_id: str) -> list[MemoryVersion]:
    """Every version, the newest first; the first one is what the memory is now."""
    memory = require_memory(session, principal, memory_id, Action.READ)
    earlier = sa.select(MemoryVersion).where(col(MemoryVersion.memory_number) == memory.number)
    return [_version_of(memory), *session.scalars(earlier.order_by(col(MemoryVersion.version).desc()))]


def delete(session: Session, principal: Principal, memory_id: str) -> None:
    """Forget a memory with all its versions. Raises NotFound."""
    memory = require_memory(session, principal, memory_id, Action.WRITE)
    outbox.memories_removed(session, memory.project_id, [memory.number])
    session.execute(sa.delete(Memory).where(col(Memory.number) == memory.number))


def delete_all(session: Session, principal: Principal, project_id: str | None, user_id: str | None = None) -> int:
    """Forget all memories of a project, or of one of its end users; answers how many."""
    project = require_project(session, principal, project_id, Action.WRITE)
    wanted = conditions(Filters(user_id=user_id), project.id)
    numbers = session.scalars(sa.select(col(Memory.number)).where(*wanted).with_for_update()).all()
    outbox.memories_removed(session, project.id, numbers)
    session.execute(sa.delete(Memory).where(col(Memory.number).in_(id_subquery(session, numbers))))
    return len(numbers)


def stats(session: Session, principal: Principal, project_id: str | None) -> Stats:
    """How many memories, how many since Monday (UTC), how many different tags."""
    project = require_project(session, principal, project_id, Action.READ)
    monday = datetime.combine(week_of(now().date())[0], time.min, UTC)
    this_week = _count(session, conditions(Filters(created_from=monday), project.id))
    tags = sa.select(sa.func.count(sa.distinct(col(Label.value)))).where(
        col(Label.project_id) == project.id, col(Label.kind) == LabelKind.TAG
    )
    return Stats(project.memory_count, this_week, session.scalars(tags).one())


def insert(session: Session, project_id: str, memories: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
    """Write new memories and all that is derived from them."""
    session.add_all(memories)
    session.flush()
    labels.write(session, memories)
    outbox.memories_changed(session, project_id, memories, embedded)


def embedding_input(content: str, details: JsonObject) -> tuple[str, str]:
    """The text by which a memory is found, and the lead that goes in front of its pieces."""
    return content, lead_from(content, details)


def hash_content(content: str) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(content.encode()).hexdigest()


def _row(new: NewMemory, project_id: str, user_id: str) -> Memory:
    created_at = min(new.created_at or now(), now())
    return Memory(
        id=new_id("mem_", new.created_at and created_at),
        project_id=project_id,
        user_id=new.user_id,
        content=new.content,
        content_hash=hash_content(new.content),
        messages=[message.model_dump() for message in new.messages] if len(new.messages) > 1 else None,
        details=new.metadata,
        created_by=user_id,
        updated_by=user_id,
        created_at=created_at,
        updated_at=created_at,
    )


def _attempt(project_id: str, principal: Principal, news: Sequence[NewMemory], key: str | None) -> CreateRequest | None:
    if key is None:
        return None
    return CreateRequest(project_id, principal.user_id, key, "\n".join(new.model_dump_json() for new in news))


def _text(memory: Memory, change: MemoryChange | None = None) -> tuple[str, str]:
    """The text and the lead by which the memory is found, as they will be after the change."""
    content = memory.content if change is None or change.text is None else change.text
    details = memory.details if change is None or change.metadata is None else change.metadata
    return embedding_input(content, details)


def _keep_version(session: Session, memory: Memory) -> None:
    session.add(_version_of(memory))
    session.flush()


def _version_of(memory: Memory) -> MemoryVersion:
    return MemoryVersion(
        memory_number=memory.number,
        version=memory.version,
        content=memory.content,
        details=memory.details,
        updated_at=memory.updated_at,
        updated_by=memory.updated_by,
    )


def _is_already(memory: Memory, change: MemoryChange) -> bool:
    """Compared as JSON, in which 1 is not true."""
    said = [(change.text, memory.content), (change.metadata, memory.details)]
    return all(new is None or json.dumps(new, sort_keys=True) == json.dumps(old, sort_keys=True) for new, old in said)


def _apply(session: Session, memory: Memory, change: MemoryChange, user_id: str) -> None:
    if change.text is not None:
        memory.content, memory.content_hash, memory.messages = change.text, hash_content(change.text), None
    if change.metadata is not None:
        memory.details = change.metadata
        labels.replace(session, memory)
    memory.version += 1
    memory.updated_by, memory.updated_at = user_id, max(now(), memory.updated_at)
    session.flush()


def _count(session: Session, wanted: Sequence[sa.ColumnElement[bool]]) -> int:
    return session.scalars(sa.select(sa.func.count()).select_from(Memory).where(*wanted)).one()
