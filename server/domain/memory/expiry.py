"""The expiry of memories: how callers set it, and how expired memories are deleted.

From its expiry on, a memory is in no answer, because every query uses the condition in `server.models.memories`.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

import sqlalchemy as sa
from pydantic import BeforeValidator, Field
from sqlmodel import Session, col

from server.domain.memory.parameters import parse_number
from server.domain.memory.periods import moment_of
from server.domain.memory.storing import remove
from server.errors import Invalid
from server.models import Label, Memory
from server.models.base import Utc, now
from server.models.memories import has_expired
from server.models.projects import deleted_projects
from server.models.stored_size import TOTAL_SIZE
from server.storage import chunks
from server.storage.statements import Query

MOST_DAYS = 36_500
HAS_PASSED = "must be in the future"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(value: object, zone: tzinfo = UTC) -> datetime | None:
    """Return the time in UTC. `zone` applies if it has no offset. Raises ValueError with a reason for the caller."""
    if value is None:
        return None
    text = value.isoformat() if isinstance(value, datetime) else value if isinstance(value, str) else ""
    return moment_of(text, zone)


def parse_future(value: object) -> datetime | None:
    """Return the time in UTC. Raises ValueError, with a reason for the caller, if it has passed."""
    moment = parse_moment(value)
    if moment is not None and moment <= now():
        raise ValueError(HAS_PASSED)
    return moment


Future = Annotated[datetime | None, BeforeValidator(parse_future)]
AnyMoment = Annotated[datetime | None, BeforeValidator(parse_moment)]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS), BeforeValidator(parse_number)]
EXPIRES_AT = "a future time; from then on, no answer includes the memory, and it is deleted permanently"
EXPIRES_IN_DAYS = "instead of expires_at, the number of days from now"


def require_one_way(expires_at: datetime | None, days: int | None) -> None:
    """Raises ValueError if both are given."""
    if expires_at is not None and days is not None:
        raise ValueError("expires_at and expires_in_days: give only one of them")


def require_future(moments: Sequence[datetime | None], *, is_batch: bool) -> None:
    """Raises Invalid, with the field of the request, if one of the memories' expiry times has passed."""
    moment = now()
    for position, expires_at in enumerate(moments):
        if expires_at is not None and expires_at <= moment:
            raise Invalid(f"{HAS_PASSED}.", field=f"memories.{position}.expires_at" if is_batch else "expires_at")


def expiry_of(expires_at: datetime | None, days: int | None) -> datetime | None:
    """Return the expiry time, which the caller gave as a time or in days."""
    return now() + timedelta(days=days) if days is not None else expires_at


def hide(memory: Memory) -> None:
    """Make the memory expire long ago, so that callers who already wait for its lock do not find it either."""
    memory.expires_at = LONG_AGO


def expired_ids(session: Session, project_id: str) -> list[str]:
    """Return the memories of a project that have expired and are not deleted yet."""
    return [row[0] for row in _EXPIRED.rows(session, project_id=project_id, moment=now())]


def count_expired(session: Session, project_id: str) -> int:
    """Return how many memories of the project have expired and are not deleted yet. Every list needs the number."""
    return sum(row[0] for row in _EXPIRED_COUNT.rows(session, project_id=project_id, moment=now()))


def expired_by_project(
    session: Session, project_ids: sa.Select[str], amount: sa.ColumnElement[int] | None = None
) -> dict[str, int]:
    """Return how many memories have expired and are not deleted yet, by project, or another `amount`, such as
    `TOTAL_SIZE`. Projects without any are left out.
    """
    of_projects = sa.func.coalesce(col(Memory.project_id), "").in_(project_ids)  # as in `_in_project`
    query = sa.select(col(Memory.project_id), sa.func.count() if amount is None else amount)
    query = query.where(of_projects, has_expired(now())).group_by(col(Memory.project_id))
    return {row[0]: row[1] for row in session.execute(query)}


def expired_usage(session: Session, project_id: str) -> tuple[int, int]:
    """Return how many memories of the project have expired and are not deleted yet, and their size in bytes."""
    memories, size = session.execute(_EXPIRED_USAGE, {"project_id": project_id, "moment": now()}).one()
    return int(memories), int(size)


def of_live_memories(session: Session, project_id: str) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for the labels of the project's memories that have not expired."""
    labels = col(Label.project_id) == project_id
    if not count_expired(session, project_id):
        return [labels]
    expired = sa.select(col(Memory.number)).where(_in_project(project_id), has_expired(now()))
    return [labels, col(Label.memory_number).not_in(expired)]


def _in_project(project_id: str | sa.BindParameter[str]) -> sa.ColumnElement[bool]:
    """Return the condition for memories of the project, as an expression.

    With a plain condition for the project, SQLite would scan all its memories instead of the few that can expire.
    """
    return sa.func.coalesce(col(Memory.project_id), "") == project_id


_HAS_EXPIRED = (
    _in_project(sa.bindparam("project_id", type_=sa.String)), has_expired(sa.bindparam("moment", type_=Utc))
)  # fmt: skip
_EXPIRED = Query(sa.select(col(Memory.id)).where(*_HAS_EXPIRED))
_EXPIRED_COUNT = Query(sa.select(sa.func.count()).select_from(Memory).where(*_HAS_EXPIRED))
_EXPIRED_USAGE = sa.select(sa.func.count(), TOTAL_SIZE).select_from(Memory).where(*_HAS_EXPIRED)


def purge(session: Session) -> int:
    """Delete some memories that have expired, with all their versions. Return how many. Call it until it returns 0."""
    columns = (col(Memory.project_id), col(Memory.number), col(Memory.piece_count))
    query = sa.select(*columns).where(has_expired(now()))
    query = query.where(col(Memory.project_id).not_in(deleted_projects()))  # deleted projects have no counters
    found = session.execute(query.limit(chunks.MOST_MEMORIES).with_for_update(skip_locked=True))
    rows = chunks.first_of(found, lambda row: row[2], chunks.MOST_PIECES)
    by_project: dict[str, list[int]] = defaultdict(list)
    for project_id, number, _ in rows:
        by_project[project_id].append(number)
    for project_id, numbers in sorted(by_project.items()):
        remove(session, project_id, numbers)
    return len(rows)
