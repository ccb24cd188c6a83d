"""The history of a memory: what each change replaced.

A row of `memory_versions` holds a text or metadata only if the change that ended the version replaced it. Null means
"as in the next version". So the oldest rows can be removed without touching the others.
"""

import json
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_memory
from server.domain.memory import activity
from server.domain.memory.budget import ROWS_PER_READ, Budget, size_of
from server.domain.memory.inputs import MemoryChange
from server.errors import NotFound
from server.models import Memory, MemoryVersion
from server.models.activity import ActivityKind
from server.models.base import JsonObject
from server.models.sources import Source
from server.principal import Principal
from server.storage.statements import count_rows

MOST_VERSIONS = 50
"""How many earlier versions of a memory are kept."""


class Version(NamedTuple):
    version: int
    content: str
    details: JsonObject
    updated_at: datetime
    updated_by: str | None
    source: Source | None


class VersionPage(NamedTuple):
    """Versions, newest first, their size in an answer, and whether there are older ones."""

    versions: list[Version]
    size: int
    has_more: bool


def history(
    session: Session, principal: Principal, memory_id: str, limit: int = 20, before: int | None = None
) -> VersionPage:
    """Return at most `limit` versions, newest first, that fit into an answer; with `before`, only older ones.

    The first page begins with the current version. Raises NotFound.
    """
    memory = require_memory(session, principal, memory_id, Action.READ)
    activity.note(session, principal, memory.project_id, ActivityKind.READ, [memory.id])
    return _page(session, memory, limit, before)


def read_history(
    session: Session, principal: Principal, memory_id: str, limit: int = 20, before: int | None = None
) -> VersionPage:
    """Like `history`, for a caller that has read the memory: the activity does not count it again."""
    return _page(session, require_memory(session, principal, memory_id, Action.READ), limit, before)


def _page(session: Session, memory: Memory, limit: int, before: int | None) -> VersionPage:
    versions: list[Version] = []
    budget = Budget()
    state = _current(memory)
    if before is None or before > memory.version:
        versions.append(state)
        budget.take(size_of(state.content, state.details))
    else:
        state = _state_at(session, memory, state, before)
    earlier = _of(memory).where(col(MemoryVersion.version) < state.version).order_by(col(MemoryVersion.version).desc())
    with session.scalars(earlier.limit(limit + 1).execution_options(yield_per=ROWS_PER_READ)) as rows:
        for row in rows:
            state = _before(state, row)
            if len(versions) == limit or not budget.take(size_of(state.content, state.details)):
                return VersionPage(versions, budget.used, has_more=True)
            versions.append(state)
    return VersionPage(versions, budget.used, has_more=False)


def count_versions(session: Session, principal: Principal, memory_id: str) -> int:
    """Return how many earlier versions are kept. Raises NotFound."""
    memory = require_memory(session, principal, memory_id, Action.READ)
    return count_rows(session, MemoryVersion, col(MemoryVersion.memory_number) == memory.number)


def at(session: Session, memory: Memory, version: int) -> Version:
    """Return the memory as it was at `version`. Raises NotFound for a version that is not kept."""
    current = _current(memory)
    if version == memory.version:
        return current
    if session.get(MemoryVersion, (memory.number, version)) is None:
        raise NotFound("Version not found.")
    return _state_at(session, memory, current, version)


def keep(session: Session, memory: Memory, change: MemoryChange) -> None:
    """Keep what the change replaces, and delete the oldest version beyond the limit."""
    is_new_text = change.text is not None and change.text != memory.content
    is_new_metadata = change.metadata is not None and not are_same(change.metadata, memory.details)
    session.add(
        MemoryVersion(
            memory_number=memory.number,
            version=memory.version,
            content=memory.content if is_new_text else None,
            details=memory.details if is_new_metadata else None,
            updated_at=memory.updated_at,
            updated_by=memory.updated_by,
            source=memory.updated_source,
            pinned=memory.pinned,
            expires_at=memory.expires_at,
        )
    )
    session.flush()
    remove_excess(session, memory.number)


def remove_excess(session: Session, number: int) -> None:
    """Delete the oldest versions beyond the limit."""
    of_memory = col(MemoryVersion.memory_number) == number
    excess = sa.select(col(MemoryVersion.version)).where(of_memory).order_by(col(MemoryVersion.version).desc())
    oldest_kept = excess.offset(MOST_VERSIONS).limit(1).scalar_subquery()
    session.execute(sa.delete(MemoryVersion).where(of_memory, col(MemoryVersion.version) <= oldest_kept))


def are_same(value: object, other: object) -> bool:
    """Return whether the values are equal as JSON, where 1 is not true."""
    first, second = (json.dumps(one, sort_keys=True, default=str) for one in (value, other))
    return first == second


def _current(memory: Memory) -> Version:
    return Version(
        memory.version, memory.content, memory.details, memory.updated_at, memory.updated_by, memory.updated_source
    )


def _of(memory: Memory) -> sa.Select[MemoryVersion]:
    return sa.select(MemoryVersion).where(col(MemoryVersion.memory_number) == memory.number)


def _state_at(session: Session, memory: Memory, current: Version, version: int) -> Version:
    """Return the text and metadata that the memory had at `version`.

    Take each from the first row at or after that version that has it.
    """
    since = _of(memory).where(col(MemoryVersion.version) >= version).order_by(col(MemoryVersion.version)).limit(1)
    with_text = session.scalars(since.where(col(MemoryVersion.content).is_not(None))).one_or_none()
    with_details = session.scalars(since.where(col(MemoryVersion.details).is_not(None))).one_or_none()
    state = current._replace(version=version)
    if with_details is not None:
        state = _before(state, with_details)._replace(content=state.content)
    if with_text is not None:
        state = _before(state, with_text)._replace(details=state.details)
    return state._replace(version=version)


def _before(state: Version, row: MemoryVersion) -> Version:
    """Return the version that the row describes, completed with what it shares with the next version."""
    content = state.content if row.content is None else row.content
    details = state.details if row.details is None else row.details
    return Version(row.version, content, details, row.updated_at, row.updated_by, row.source)
