"""Keeps the same text from becoming a second memory within a day, because programs repeat themselves."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.locks import lock_hash
from server.domain.memory import memories, unfinished
from server.domain.memory.changes import checked
from server.domain.memory.expiry import expiry_of
from server.domain.memory.filters import by_age
from server.domain.memory.folding import with_text
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, fold, hash_entry, parse_list
from server.domain.memory.storing import embed, embedding_input, hash_content
from server.errors import NotFound
from server.index import Index
from server.models import Memory
from server.models.base import JSON, JsonObject, now
from server.models.memories import is_live
from server.principal import Principal
from server.text.spelling import shortened

REPEAT_PERIOD = timedelta(hours=24)
"""If two equal texts come within this time of each other, they become one memory."""

CREATED_AT, EXPIRY = "created_at", "expires_in_days"


class Outcome(Enum):
    """What became of a text: a new memory, nothing, or new labels, metadata, a pin or a later expiry for an existing
    memory.
    """

    ADDED = auto()
    KNOWN = auto()
    COMPLETED = auto()


class Remembered(NamedTuple):
    """`kept` names the fields in which the existing memory keeps a different value."""

    memory_id: str
    outcome: Outcome
    kept: tuple[str, ...] = ()


def remember(session: Session, principal: Principal, new: NewMemory, index: Index) -> Remembered:
    """Add a memory. If the project has the same text of the same user from within `REPEAT_PERIOD`, add the labels,
    metadata, pin and later expiry to that memory instead. The index must be prepared. Raises the errors of
    `memories.add`, and Invalid if there are too many labels together.
    """
    project = require_project(session, principal, new.project_id, Action.WRITE)
    unfinished.finish_texts(session, project.id, [new.text])
    texts = [embedding_input(new.text, new.details)]
    existing = _locked(session, project.id, new)
    if existing is None and index.ready(texts) is None:
        embed(session, index, texts)  # a pause ends the transaction, and the lock with it
        existing = _locked(session, project.id, new)
    if existing is None:
        return Remembered(memories.add(session, principal, new, index), Outcome.ADDED)
    kept = tuple(kept_fields(existing, new))
    changed = _additions(existing, new)
    if not changed:
        return Remembered(existing.id, Outcome.KNOWN, kept)
    try:
        memories.update(session, principal, existing.id, MemoryChange.model_validate(changed), index)
    except NotFound:  # somebody deleted it while it was embedded with its speaker
        return remember(session, principal, new, index)
    return Remembered(existing.id, Outcome.COMPLETED, kept)


def _additions(existing: Memory, new: NewMemory) -> dict[str, object]:
    """Return what the new memory adds to the existing one: labels, metadata, a pin and a later expiry."""
    changed: dict[str, object] = {}
    details = checked(with_labels(existing.details, new.details))
    if details != existing.details:
        changed["metadata"] = details
    if new.pinned and not existing.pinned:
        changed["pinned"] = True
    expiry = expiry_of(new.expires_at, new.expires_in_days)
    if _is_later(expiry, existing.expires_at):
        changed["expires_at"] = expiry
    return changed


def with_labels(details: JsonObject, new: JsonObject) -> JsonObject:
    """Return the metadata with the new tags, people and keys added. Existing values stay, unless they are null."""
    merged = {**details, **new, **_without_nulls(details)}
    for key in (TAGS, PEOPLE):
        if key in new and key in details:
            merged[key] = _with_values(details[key], new[key])
    return merged


def _without_nulls(details: JsonObject) -> JsonObject:
    return {key: value for key, value in details.items() if value is not None}


def kept_fields(existing: Memory, new: NewMemory) -> Iterator[str]:
    """Yield the fields in which the existing memory keeps a value that differs from the new one's."""
    details = _without_nulls(existing.details)
    category = new.details.get(CATEGORY)
    if category and fold(str(category)) != fold(str(details.get(CATEGORY, category))):
        yield CATEGORY
    for key, value in new.details.items():
        is_label = key in (TAGS, PEOPLE, CATEGORY)
        if not is_label and hash_entry(key, value) != hash_entry(key, details.get(key, value)):
            yield f"metadata.{shortened(key)}"
    if new.created_at not in (None, existing.created_at):
        yield CREATED_AT
    if _is_later(existing.expires_at, expiry_of(new.expires_at, new.expires_in_days)):
        yield EXPIRY


def _is_later(expiry: datetime | None, other: datetime | None) -> bool:
    """Return whether `expiry` is never, or at least a day after `other`: the same days, said again, are not."""
    if expiry is None or other is None:
        return other is not None
    return expiry - other >= REPEAT_PERIOD


def _with_values(old: JSON, new: JSON) -> JSON:
    """Return the old list with the new values, as a list if there are any."""
    values = parse_list(old)
    existing = {fold(value) for value in values}
    added = [value for value in parse_list(new) if fold(value) not in existing]
    return [*values, *added] if added else old


def _locked(session: Session, project_id: str, new: NewMemory) -> Memory | None:
    """Lock the text and the newest memory with it from less than a day before or after. Return the memory."""
    content_hash = hash_content(new.text)
    # Lock the text first, then the row. In the other order two callers could deadlock.
    lock_text(session, project_id, content_hash)
    moment, created_at = new.created_at or now(), col(Memory.created_at)
    query = sa.select(Memory).where(
        col(Memory.number).in_(with_text(project_id, [content_hash])),
        col(Memory.user_id).is_not_distinct_from(new.user_id),
        is_live(now()),
        created_at >= moment - REPEAT_PERIOD,
        created_at < moment + REPEAT_PERIOD,
    )
    return session.scalars(query.order_by(by_age(are_few=True).desc()).limit(1).with_for_update()).one_or_none()


def lock_text(session: Session, project_id: str, content_hash: str) -> None:
    """Lock the text until the commit, so that nobody else adds it."""
    lock_hash(session, hash_content(f"{project_id}/{content_hash}"))
