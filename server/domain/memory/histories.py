"""Stages and stores the long history of an imported memory in parts, each small enough for one transaction.

A part is a staged row that follows its memory's row. The newest versions are stored first, so that the history has no
gap while parts are missing.
"""

import json
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from pydantic import BaseModel
from sqlmodel import Session, col

from server.domain.memory import versions
from server.domain.memory.exchange.lines import EarlierVersion, Line, version_rows, without_repeats
from server.domain.memory.storing import portions
from server.models import Memory, StagedMemory
from server.models.imports import HISTORY

ROWS_PER_LINE = versions.MOST_VERSIONS + 1
"""How many staged rows a line may take: its memory, and the parts of its history."""

SHORT_LENGTH = 100_000
"""A history of at most this many characters stays in its line."""

PART_LENGTH = 1_000_000
"""How many characters of a history to store at a time. A single version may have more."""


class _Part(BaseModel):
    """Some versions, newest first."""

    history: list[EarlierVersion]


def length_of(history: Sequence[EarlierVersion]) -> int:
    return sum(map(_length_of, history))


def split(line: Line) -> tuple[Line, list[list[EarlierVersion]]]:
    """Return the line without a long history, and the parts of that history."""
    if length_of(line.history) <= SHORT_LENGTH:
        return line, []
    kept = without_repeats(line.content, line.metadata, reversed(line.history))
    return line.model_copy(update={"history": []}), list(portions(kept, _length_of, PART_LENGTH))


def staged_rows(
    import_id: str, position: int, memory_id: str, parts: list[list[EarlierVersion]]
) -> Iterator[StagedMemory]:
    """Yield the rows to stage after the memory's row at this position."""
    for number, part in enumerate(parts, 1):
        yield StagedMemory(
            import_id=import_id,
            position=position + number,
            memory_id=memory_id,
            line=_Part.model_construct(history=part).model_dump_json(),
            content_hash=HISTORY,
        )


def store_next(session: Session, import_id: str) -> bool:
    """Store the versions of the next staged row, unless their memory was deleted since it was stored. Return False if
    that row is no part of a history.
    """
    part = _next_part(session, import_id)
    if part is None:
        return False
    number = session.scalar(sa.select(col(Memory.number)).where(col(Memory.id) == part.memory_id).with_for_update())
    if number is not None:
        history = _Part.model_validate_json(part.line).history
        session.add_all(version_rows(history, number, part.import_id))
        session.flush()
        versions.remove_excess(session, number)
    session.delete(part)
    return True


def _next_part(session: Session, import_id: str) -> StagedMemory | None:
    rows = sa.select(StagedMemory).where(col(StagedMemory.import_id) == import_id)
    first = sa.select(sa.func.min(StagedMemory.position)).where(col(StagedMemory.import_id) == import_id)
    is_part = col(StagedMemory.content_hash) == HISTORY
    return session.scalar(rows.where(col(StagedMemory.position) == first.scalar_subquery(), is_part))


def _length_of(version: EarlierVersion) -> int:
    return len(version.content or "") + len(json.dumps(version.metadata))
