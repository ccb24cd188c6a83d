"""Idempotency keys: a creation that is sent twice happens once (draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from server.database import is_sqlite
from server.errors import Conflict
from server.models import IdempotencyKey
from server.models.base import now

REMEMBERED = timedelta(hours=24)


class KeyUsedForAnother(Conflict):
    sentence = "Idempotency-Key: this key was used for another request within the last 24 hours."


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """One sending of a creation: whose key it is, and what was to be created (any text that tells it from others)."""

    project_id: str
    user_id: str
    key: str
    body: str

    @property
    def key_hash(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()

    @property
    def body_hash(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()


def earlier_answer(session: Session, attempt: CreateRequest) -> list[str] | None:
    """The ids that an earlier sending was answered with. Raises KeyUsedForAnother."""
    found = session.get(
        IdempotencyKey,
        (attempt.project_id, attempt.user_id, attempt.key_hash),
        populate_existing=True,
    )
    if found is None or found.created_at <= now() - REMEMBERED:
        return None
    if found.body_hash != attempt.body_hash:
        raise KeyUsedForAnother
    return found.memory_ids


def claim(session: Session, attempt: CreateRequest, memory_ids: Sequence[str]) -> bool:
    """Write down the answer; False when another sending did so first. On Postgres it waits for that one's commit."""
    session.execute(sa.delete(IdempotencyKey).where(col(IdempotencyKey.created_at) <= now() - REMEMBERED))
    insert = sqlite.insert if is_sqlite(session) else postgresql.insert
    row = {
        "project_id": attempt.project_id,
        "created_by": attempt.user_id,
        "key_hash": attempt.key_hash,
        "body_hash": attempt.body_hash,
        "memory_ids": list(memory_ids),
        "created_at": now(),
    }
    inserted = session.execute(
        insert(IdempotencyKey).values(row).on_conflict_do_nothing().returning(col(IdempotencyKey.key_hash))
    )
    return inserted.one_or_none() is not None
