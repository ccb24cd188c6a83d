"""Idempotency keys: a create request that is sent twice runs once (draft-ietf-httpapi-idempotency-key-header)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.inputs import NewMemory
from server.domain.retention import delete_chunks
from server.errors import Conflict
from server.hashing import token_hash
from server.models import IdempotencyKey
from server.models.base import is_within, now, was_within
from server.principal import Principal
from server.storage.database import insert_for, is_sqlite

KEY_LIFETIME = timedelta(hours=24)
"""A key can be reused for another request after this time."""


class KeyUsedForAnother(Conflict):
    sentence = "Idempotency-Key: this key was used for another request in the last 24 hours; send a new key."


class CreateRequest(NamedTuple):
    """A create request, as columns of `IdempotencyKey`. The first three are its primary key."""

    project_id: str
    created_by: str
    key_hash: str
    body_hash: str


def create_request(
    project_id: str, principal: Principal, new_memories: Sequence[NewMemory], key: str | None, *, is_batch: bool
) -> CreateRequest | None:
    """Return the request, or None without a key. A batch of one memory differs from a request for this memory."""
    if key is None:
        return None
    bodies = [new.model_dump_json() for new in new_memories]
    if is_batch and len(bodies) == 1:
        bodies.append("")
    return CreateRequest(project_id, principal.user_id, token_hash(key), token_hash("\n".join(bodies)))


def earlier_answer(session: Session, request: CreateRequest) -> list[str] | None:
    """Return the memory ids that the same request created earlier, or None. Raises KeyUsedForAnother."""
    row = session.get(IdempotencyKey, request[:3], populate_existing=True)
    if row is None or not was_within(row.created_at, KEY_LIFETIME):
        return None
    if row.body_hash != request.body_hash:
        raise KeyUsedForAnother
    return row.memory_ids


def claim(session: Session, request: CreateRequest | None, memory_ids: Sequence[str]) -> list[str] | None:
    """Store the answer to a request with a key. Return the answer if another request has stored one first, or None.

    On Postgres this waits for the other request's commit. Raises KeyUsedForAnother.
    """
    if request is None:
        return None
    # Only the caller's own keys: on Postgres, callers who delete the same rows wait for each other's commit.
    is_own = (
        col(IdempotencyKey.project_id) == request.project_id,
        col(IdempotencyKey.created_by) == request.created_by,
    )
    session.execute(sa.delete(IdempotencyKey).where(*is_own, ~is_within(col(IdempotencyKey.created_at), KEY_LIFETIME)))
    row = {**request._asdict(), "memory_ids": list(memory_ids), "created_at": now()}
    insert = insert_for(is_sqlite(session), IdempotencyKey).values(row).on_conflict_do_nothing()
    inserted = session.execute(insert.returning(col(IdempotencyKey.key_hash)))
    return None if inserted.one_or_none() else earlier_answer(session, request)


def remove_expired(session: Session) -> int:
    """Delete some expired keys of all callers. Return how many were deleted."""
    return delete_chunks(session, [(IdempotencyKey, col(IdempotencyKey.created_at) <= now() - KEY_LIFETIME)])
