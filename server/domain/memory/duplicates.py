"""Finds the lines of a file that the project already has, so that a repeated import stores nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.exchange.lines import Line
from server.domain.memory.storing import hash_content
from server.models import Import, Memory, StagedMemory
from server.models.base import now
from server.models.imports import STORED
from server.models.memories import is_live

NumberedLine = tuple[int, Line]
MemoryKey = tuple[str, str | None, datetime | None]
"""What makes two memories the same: the hash of the content, the user, and the creation time, if the file gives one."""


class OnDuplicate(StrEnum):
    """What an import does with a memory that the project already has: same content, user and `created_at`."""

    SKIP = "skip"
    KEEP = "keep"


def without_known(session: Session, import_id: str, lines: Sequence[NumberedLine]) -> list[NumberedLine]:
    """Return the lines that the project does not have. Lines with a time are returned once. Repeated lines without a
    time are all returned, because nothing shows that they are the same memory.
    """
    hashes = {hash_content(line.content) for _, line in lines}
    known_keys = {*_known_in_project(session, import_id, hashes), *_known_in_imports(session, import_id, hashes)}
    new = []
    for number, line in lines:
        key = (hash_content(line.content), line.user_id, _created_at(line))
        if key not in known_keys:
            new.append((number, line))
        if key[2] is not None:
            known_keys.add(key)
    return new


def _created_at(line: Line) -> datetime | None:
    """Return the time that the file gives, or None. The time of the import does not count, because it does not
    distinguish memories.
    """
    return line.created_at if "created_at" in line.model_fields_set else None


def _known_in_project(session: Session, import_id: str, hashes: set[str]) -> Iterator[MemoryKey]:
    project_id = sa.select(col(Import.project_id)).where(col(Import.id) == import_id).scalar_subquery()
    columns = (col(Memory.content_hash), col(Memory.user_id), col(Memory.created_at))
    query = sa.select(*columns).where(
        col(Memory.project_id) == project_id, col(Memory.content_hash).in_(hashes), is_live(now())
    )
    for content_hash, user_id, created_at in session.execute(query):
        yield content_hash, user_id, created_at
        yield content_hash, user_id, None


def _known_in_imports(session: Session, import_id: str, hashes: set[str]) -> Iterator[MemoryKey]:
    """Yield what this import has staged, and what committed imports of the project are about to store."""
    project_id = sa.select(col(Import.project_id)).where(col(Import.id) == import_id).scalar_subquery()
    committed = sa.and_(col(Import.project_id) == project_id, col(Import.committed_at).is_not(None))
    imports = sa.select(col(Import.id)).where(sa.or_(col(Import.id) == import_id, committed))
    columns = (col(StagedMemory.import_id), col(StagedMemory.content_hash), col(StagedMemory.line))
    query = sa.select(*columns).where(
        col(StagedMemory.import_id).in_(imports),
        col(StagedMemory.content_hash).in_(hashes),
        col(StagedMemory.line) != STORED,
    )
    for its_import, content_hash, text in session.execute(query):
        line = Line.model_validate_json(text)
        yield content_hash, line.user_id, line.created_at
        if its_import != import_id:
            yield content_hash, line.user_id, None
