"""Stores a large batch the way an import does, within one operation: stages, accepts and publishes it in short
transactions.

Between two transactions, other writers get a turn. After a crash before `accept`, nothing is stored; after a later one,
housekeeping or a repeated request publishes the rest.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlmodel import Session

from server import waits
from server.domain.memory import imports, unfinished
from server.domain.memory.exchange.lines import line_from
from server.domain.memory.publishing import Staged
from server.domain.memory.source import source_of
from server.domain.memory.storing import LONG_WEIGHT, STAGED_WEIGHT, portions, weight_of
from server.domain.turns import end_turn
from server.errors import MaybeStored, NotFound, ServiceError
from server.index.types import Embedded
from server.models import Memory
from server.principal import Principal


def is_large(memories: Sequence[Memory], embedded: Sequence[Embedded]) -> bool:
    """Return whether these memories would take more than one transaction of an import."""
    weights = (weight_of(memory.content, len(result.spans)) for memory, result in zip(memories, embedded, strict=True))
    return sum(weights) > LONG_WEIGHT


def store(
    session: Session,
    principal: Principal,
    project_id: str,
    memories: Sequence[Memory],
    embedded: Sequence[Embedded],
    claim: Callable[[], list[str] | None],
) -> list[str] | None:
    """Store all memories. If `claim` returns the ids of an earlier answer, store nothing and return those.

    `claim` runs in the transaction that decides. Raises NotFound, Forbidden, InsufficientScope, QuotaExceeded,
    MaybeStored if the database fails after that transaction, and the errors of `claim`.
    """
    import_id = imports.begin(session, principal, project_id, principal.user_id, source_of(principal))
    try:
        new = (
            Staged(position, line_from(memory, []), memory, result)
            for position, (memory, result) in enumerate(zip(memories, embedded, strict=True))
        )
        for part in portions(new, lambda staged: staged.weight, STAGED_WEIGHT):
            end_turn(session)
            imports.keep(session, import_id, part)
        end_turn(session)
        imports.accept(session, principal, import_id)
        earlier = claim()
    except ServiceError as error:
        imports.discard_all(session, import_id)
        raise (NotFound("Project not found.") if isinstance(error, imports.ImportEnded) else error) from None
    if earlier:
        imports.discard_all(session, import_id)
        unfinished.finish_texts(session, project_id, (memory.content for memory in memories))
        return earlier
    session.commit()
    try:
        with waits.renewed():  # what is decided gets the time to be published
            imports.finish(session, import_id)
    except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
        raise MaybeStored from error
    return None
