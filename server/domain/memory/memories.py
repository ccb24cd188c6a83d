"""Adds, reads and changes memories, and updates the index's data in the same transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, tzinfo
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm.attributes import flag_modified
from sqlmodel import Session, col

from server.domain.access import Action, require_memory, require_project
from server.domain.memory import activity, batches, counting, idempotency, labels, unfinished, usage, versions
from server.domain.memory.budget import ANSWER_BYTES, LISTED_COLUMNS, ROWS_PER_READ, Budget, take_fitting
from server.domain.memory.expiry import expiry_of, of_live_memories, require_future
from server.domain.memory.filters import Filters, by_age, narrowing
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.periods import week_of
from server.domain.memory.source import source_of
from server.domain.memory.storing import embed, embedding_input, hash_content, insert
from server.domain.memory.versions import are_same
from server.errors import Invalid, Unavailable
from server.index import Index, outbox
from server.index.words.titles import words_beside
from server.models import Label, Memory, Project
from server.models.activity import ActivityKind
from server.models.base import Utc, new_id, now
from server.models.memories import LabelKind, is_live
from server.principal import Principal
from server.storage.statements import Query, without_constructor

MEMORY_ATTRIBUTES = {"text": "content", "metadata": "details", "pinned": "pinned", "expires_at": "expires_at"}
"""The attribute of `Memory` that each field of `MemoryChange` replaces."""

EMBEDDING_ATTEMPTS = 5
"""How many times a change embeds its text again because others have changed the memory."""

AFTER_ALL_IDS = "mem_g"

ChangeOf = Callable[[Memory], MemoryChange]


class ChangedMeanwhile(Unavailable):
    sentence = "Someone else is changing this memory, so your change was not saved. Try again."


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of memories, newest first: at most `limit`, older than the memory `before`, skipping `offset`."""

    filters: Filters = field(default_factory=Filters)
    limit: int = 10
    offset: int = 0
    before: str | None = None
    project_id: str | None = None
    answer_bytes: int = ANSWER_BYTES  # maximum size of the answer in bytes
    spare: int = 0  # how many memories at the end only show that there are more; the activity log does not count them


class MemoryPage(NamedTuple):
    """A page of memories, and the total of all that pass the filters.

    `size` is how many bytes the memories have in an answer. `is_cut` says that the rest of the page did not fit; the
    next page begins after the last one here. The memories come without their messages.
    """

    memories: Sequence[Memory]
    total: int
    size: int
    is_cut: bool


class Stats(NamedTuple):
    total: int
    this_week: int
    tag_count: int


def add(
    session: Session, principal: Principal, new: NewMemory, index: Index, idempotency_key: str | None = None
) -> str:
    """Create a memory and return its id. The next search finds it. Raises the errors of `add_many`."""
    return add_many(session, principal, [new], index, idempotency_key, is_batch=False)[0]


def add_many(
    session: Session,
    principal: Principal,
    new_memories: Sequence[NewMemory],
    index: Index,
    idempotency_key: str | None = None,
    *,
    is_batch: bool = True,
) -> list[str]:
    """Create all memories or none, in one project. Return their ids in the same order.

    A large batch is stored in several transactions. Returns when all memories can be found, also those that an earlier
    request with this key has stored. Raises Invalid if they name different projects or have expired, KeyUsedForAnother,
    QuotaExceeded, MaybeStored, and the errors of `require_project`.
    """
    if len({new.project_id for new in new_memories}) > 1:
        raise Invalid("all memories of one request must name the same project.", field="project_id")
    project = require_project(session, principal, new_memories[0].project_id, Action.WRITE)
    request = idempotency.create_request(project.id, principal, new_memories, idempotency_key, is_batch=is_batch)
    if request and (earlier := idempotency.earlier_answer(session, request)):
        unfinished.finish_texts(session, project.id, (new.text for new in new_memories))
        return earlier
    require_future([new.expires_at for new in new_memories], is_batch=is_batch)  # a repeated request may come later
    memories = [_row_of(new, project.id, principal) for new in new_memories]
    usage.require_room_for(session, project.id, memories)
    embedded = embed(session, index, [embedding_input(new.text, new.details) for new in new_memories])
    # A pause ends the transaction: check again what may have changed, and lock the project against deletion.
    require_project(session, principal, project.id, Action.WRITE, lock=True)
    ids = [memory.id for memory in memories]
    claim = partial(idempotency.claim, session, request, ids)
    if batches.is_large(memories, embedded):
        earlier = batches.store(session, principal, project.id, memories, embedded, claim)
    else:
        usage.require_room_for(session, project.id, memories)
        if not (earlier := claim()):
            insert(session, project.id, memories, embedded)
    if not earlier:
        activity.note(session, principal, project.id, ActivityKind.ADD, ids)
    return earlier or ids


def get(session: Session, principal: Principal, memory_id: str) -> Memory:
    """Return the memory. Raises NotFound."""
    memory = require_memory(session, principal, memory_id, Action.READ)
    activity.note(session, principal, memory.project_id, ActivityKind.READ, [memory.id])
    return memory


def list_memories(session: Session, principal: Principal, request: ListRequest) -> MemoryPage:
    """Return a page of the project's memories, as many memories as fit into an answer.

    Raises the errors of `require_project`.
    """
    project = require_project(session, principal, request.project_id, Action.READ)
    parameters = {
        "project_id": project.id,
        "moment": now(),
        "before": request.before or AFTER_ALL_IDS,
        "page": request.limit,
        "offset": request.offset,
    }
    total = counting.count(session, project, request.filters)
    are_few = total <= counting.FEW
    reads_many = are_few or request.offset > counting.FEW
    narrow = narrowing(request.filters, project.id, list_labeled=reads_many)
    query = _page_query(request.filters, are_few=are_few)
    rows = (
        query.rows(session, *narrow, **parameters)
        if request.limit <= ROWS_PER_READ
        else query.stream(session, ROWS_PER_READ, *narrow, **parameters)
    )
    page = take_fitting(rows, Budget(request.answer_bytes))
    shown = page.memories[: request.limit - request.spare]
    activity.note(session, principal, project.id, ActivityKind.LIST, (memory.id for memory in shown))
    return MemoryPage(page.memories, total, page.size, page.is_cut)


def _page_by(memory_id: sa.SQLColumnExpression[str], project_id: sa.SQLColumnExpression[str]) -> Query:
    return Query(
        sa.select(*LISTED_COLUMNS)
        .where(project_id == sa.bindparam("project_id"), is_live(sa.bindparam("moment", type_=Utc)))
        .where(memory_id < sa.bindparam("before"))
        .order_by(memory_id.desc())
        .limit(sa.bindparam("page", type_=sa.Integer))
        .offset(sa.bindparam("offset", type_=sa.Integer))
    )


_PAGE = _page_by(by_age(are_few=False), col(Memory.project_id))
_PAGE_OF_FEW = _page_by(by_age(are_few=True), col(Memory.project_id))
_PAGE_OF_FEW_LABELED = _page_by(by_age(are_few=True), sa.func.coalesce(col(Memory.project_id), ""))


def _page_query(filters: Filters, *, are_few: bool) -> Query:
    if filters.is_empty or not are_few:
        return _PAGE
    return _PAGE_OF_FEW_LABELED if filters.has_only_labels else _PAGE_OF_FEW


def update(
    session: Session,
    principal: Principal,
    memory_id: str,
    change: MemoryChange | ChangeOf,
    index: Index,
    kind: ActivityKind = ActivityKind.UPDATE,
) -> Memory:
    """Apply the change and keep the previous version. A change to the current values has no effect.

    Pass a function if the change depends on the stored values, because others may change the memory while its text is
    embedded. `kind` is the kind of the event in the activity.

    Raises NotFound, Forbidden, InsufficientScope, QuotaExceeded.
    """
    memory = require_memory(session, principal, memory_id, Action.WRITE)
    embedded, embedded_for = None, embedding_input(memory.content, memory.details)
    for _ in range(EMBEDDING_ATTEMPTS):
        wanted_change = change(memory) if callable(change) else change
        growth = usage.growth_of(memory, wanted_change)
        usage.require_room(session, memory.project_id, 0, growth)
        wanted = embedding_input_after(wanted_change, memory)
        if wanted == embedded_for:
            break
        embedded, embedded_for = embed(session, index, [wanted]), wanted
        # Someone may have changed the memory during a pause, so the text may need embedding again.
        memory = require_memory(session, principal, memory_id, Action.WRITE)
    else:
        raise ChangedMeanwhile
    if is_already(memory, wanted_change):
        return memory
    versions.keep(session, memory, wanted_change)
    beside = words_beside(memory.details)
    _apply(session, memory, wanted_change, principal)
    outbox.memory_resized(session, memory.project_id, growth)
    activity.note(session, principal, memory.project_id, kind, [memory.id])
    if embedded is not None or words_beside(memory.details) != beside:
        unfinished.rewrite(session, memory, embedded[0] if embedded else None)
    return memory


def stats(session: Session, principal: Principal, project_id: str | None) -> Stats:
    """Count the memories, those created since Monday (UTC), and the distinct tags."""
    project = require_project(session, principal, project_id, Action.READ)
    live = of_live_memories(session, project.id)
    tags = sa.select(sa.func.count(sa.distinct(col(Label.value)))).where(col(Label.kind) == LabelKind.TAG, *live)
    return Stats(counting.count_all(session, project), count_this_week(session, project), session.scalars(tags).one())


def count_this_week(session: Session, project: Project, zone: tzinfo = UTC) -> int:
    """Count the memories created since Monday of the time zone."""
    monday = datetime.combine(week_of(now().astimezone(zone).date())[0], time.min, zone)
    return counting.count(session, project, Filters(created_from=monday))


def embedding_input_after(change: MemoryChange, memory: Memory) -> tuple[str, str]:
    content = memory.content if change.text is None else change.text
    details = memory.details if change.metadata is None else change.metadata
    return embedding_input(content, details)


def _row_of(new: NewMemory, project_id: str, principal: Principal) -> Memory:
    stored_at = now()
    created_at = min(new.created_at or stored_at, stored_at)
    text, turns, source = new.text, new.turns, source_of(principal)
    return without_constructor(Memory, {
        "id": new_id("mem_", new.created_at and created_at),
        "project_id": project_id,
        "user_id": new.user_id,
        "content": text,
        "content_hash": hash_content(text),
        "messages": turns if len(turns) > 1 else None,
        "details": new.details,
        "version": 1,
        "place": 0,
        "pinned": new.pinned,
        "expires_at": expiry_of(new.expires_at, new.expires_in_days),
        "created_by": principal.user_id,
        "updated_by": principal.user_id,
        "created_at": created_at,
        "updated_at": created_at,
        "stored_at": stored_at,
        "source_kind": source.kind,
        "source_id": source.id,
        "source_name": source.name,
        "updated_source": source,
    })  # fmt: skip


def is_already(memory: Memory, change: MemoryChange) -> bool:
    """Return whether the memory has all values of the change. Values are compared as JSON, where 1 is not true."""
    return all(are_same(value, getattr(memory, MEMORY_ATTRIBUTES[field])) for field, value in change.values.items())


def _apply(session: Session, memory: Memory, change: MemoryChange, principal: Principal) -> None:
    if change.text is not None:
        memory.content = change.text
        memory.content_hash = hash_content(change.text)
        memory.messages = None  # the messages belong to the replaced text
    if change.metadata is not None:
        memory.details = change.metadata
        flag_modified(memory, "details")  # SQLAlchemy compares as Python does, where 1 is true, and would not store it
        labels.replace(session, memory)
    for name in {"pinned", "expires_at"} & change.values.keys():
        setattr(memory, name, change.values[name])
    memory.version += 1
    memory.updated_by = principal.user_id
    memory.updated_source = source_of(principal)
    memory.updated_at = max(now(), memory.updated_at)
    session.flush()
