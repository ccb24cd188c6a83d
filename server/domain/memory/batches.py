"""Stores a large batch the way an import does, within one operation: stages, accepts and publishes it in short
transactions.

Between two transactions, other writers get a turn. After a crash before `accept`, nothing is stored; after a later one,
housekeeping publishes the rest.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from server.database import paused
from server.domain.memory import imports
from server.domain.memory.exchange.lines import line_from
from server.domain.memory.imports import CHUNK_LINES, Staged
from server.domain.memory.publishing import PUBLISHED_PIECES
from server.domain.memory.source import source_of
from server.errors import ServiceError
from server.index.types import Embedded
from server.models import Memory
from server.principal import Principal

STAGED_PIECES = 256
"""Maximum number of pieces in one staging transaction. A single memory may have more."""

TURN_SECONDS = 0.002
"""How long other writers get to take the lock. A thread that does not sleep would take it again first."""

Step = Callable[[Session, None, str], bool]


def is_large(embedded: Sequence[Embedded]) -> bool:
    """Return whether these memories would take more than one transaction of an import. One memory is never split."""
    return len(embedded) > 1 and sum(len(result.spans) for result in embedded) > PUBLISHED_PIECES


def store(
    session: Session,
    principal: Principal,
    project_id: str,
    memories: Sequence[Memory],
    embedded: Sequence[Embedded],
    claim: Callable[[], list[str] | None],
) -> list[str] | None:
    """Store all memories, or store none and return the ids, if `claim` returns the ids of an earlier answer.

    `claim` runs in the transaction that decides. Raises NotFound, Forbidden, InsufficientScope, QuotaExceeded, and what
    `claim` does.
    """
    import_id = imports.begin(session, principal, project_id, principal.user_id, source_of(principal))
    try:
        for part in _parts(memories, embedded):
            _end_transaction(session)
            imports.keep(session, import_id, part)
        _end_transaction(session)
        imports.accept(session, principal, import_id)
        earlier = claim()
    except ServiceError:
        _discard(session, import_id)
        raise
    if earlier:
        _discard(session, import_id)
        return earlier
    session.commit()
    try:
        _end_transaction(session)
        _repeat(session, imports.publish, import_id)
    except (sa.exc.OperationalError, sa.exc.TimeoutError):  # the batch is accepted, so housekeeping publishes the rest
        session.rollback()
    return None


def _parts(memories: Sequence[Memory], embedded: Sequence[Embedded]) -> Iterator[list[Staged]]:
    part: list[Staged] = []
    pieces = 0
    for position, (memory, result) in enumerate(zip(memories, embedded, strict=True)):
        pieces += len(result.spans)
        if part and (pieces > STAGED_PIECES or len(part) == CHUNK_LINES):
            yield part
            part, pieces = [], len(result.spans)
        part.append(Staged(position, line_from(memory, []), memory, result))
    yield part


def _discard(session: Session, import_id: str) -> None:
    """Roll back the transaction, and delete the rows that earlier transactions staged."""
    session.rollback()
    _repeat(session, imports.discard, import_id)


def _repeat(session: Session, step: Step, import_id: str) -> None:
    is_more = True
    while is_more:
        is_more = step(session, None, import_id)
        _end_transaction(session)


def _end_transaction(session: Session) -> None:
    with paused(session):
        time.sleep(TURN_SECONDS)
