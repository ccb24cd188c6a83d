"""Exports a project as JSON lines, as a zip of Markdown files, or as CSV."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import IO

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit
from server.domain.access import Action, require_project
from server.domain.audit import Event
from server.domain.memory import activity
from server.domain.memory.budget import ROWS_PER_READ
from server.domain.memory.exchange.lines import EarlierVersion, Progress, line_from, no_progress, without_repeats
from server.domain.memory.exchange.markdown import write_markdown
from server.domain.memory.exchange.table import write_header, write_row
from server.domain.memory.filters import Filters, conditions
from server.errors import NotFound
from server.models import Memory, MemoryVersion, Project
from server.models.activity import ActivityKind
from server.models.projects import IS_DELETED
from server.principal import Principal
from server.storage.statements import id_subquery


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    MARKDOWN = "markdown"
    CSV = "csv"


FILES = {
    ExportFormat.JSONL: ("jsonl", "application/x-ndjson"),
    ExportFormat.MARKDOWN: ("zip", "application/zip"),
    ExportFormat.CSV: ("csv", "text/csv; charset=utf-8"),
}
"""The file name's extension and the media type of each format."""


Chosen = Filters | Sequence[str]
"""Which memories to export: those that pass the filters, or those with these ids."""

EVERYTHING = Filters()


def export_memories(session: Session, project_id: str, chosen: Chosen = EVERYTHING) -> Iterator[str]:
    """Yield a line for each chosen memory, oldest first, without the line break. Raises NotFound at the first step."""
    require_existing_project(session, project_id)
    filters, ids = (chosen, None) if isinstance(chosen, Filters) else (EVERYTHING, chosen)
    query = sa.select(Memory).where(*conditions(filters, project_id)).order_by(col(Memory.id))
    if ids is not None:
        query = query.where(col(Memory.id).in_(ids))
    for memories in session.scalars(query.execution_options(yield_per=ROWS_PER_READ)).partitions():
        earlier = _earlier_versions(session, [memory for memory in memories if memory.version > 1])
        for memory in memories:
            yield line_from(memory, earlier.get(memory.number, [])).model_dump_json(exclude_defaults=True)


def write_export(
    session: Session,
    project_id: str,
    file: IO[bytes],
    progress: Progress = no_progress,
    export_format: ExportFormat = ExportFormat.JSONL,
    chosen: Chosen = EVERYTHING,
) -> int:
    """Write the chosen memories of the project into the file. Return how many. Raises NotFound.

    The file is complete when this returns, so that no slow reader keeps a snapshot of the database open.
    """
    count = 0

    def counted() -> Iterator[str]:
        nonlocal count
        for line in export_memories(session, project_id, chosen):
            yield line
            count += 1
            progress(1)

    WRITERS[export_format](counted(), file)
    return count


def _write_lines(lines: Iterable[str], file: IO[bytes]) -> None:
    for line in lines:
        file.write(f"{line}\n".encode())


def _write_zip(lines: Iterable[str], file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for line in lines:
            name, text = write_markdown(json.loads(line))
            archive.writestr(name, text.encode())


def _write_table(lines: Iterable[str], file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    write_header(text)
    for line in lines:
        write_row(text, json.loads(line))
    text.detach()


WRITERS = {
    ExportFormat.JSONL: _write_lines,
    ExportFormat.MARKDOWN: _write_zip,
    ExportFormat.CSV: _write_table,
}


def record_export(session: Session, principal: Principal | None, project_id: str, count: int) -> None:
    """Record the export before the file is handed out. `principal` is None for the command line.

    Raises NotFound, Forbidden.
    """
    project = require_project_for(session, principal, project_id, Action.READ)
    activity.note(session, principal, project.id, ActivityKind.EXPORT, count=count)
    audit.record_memories(session, Event.MEMORIES_EXPORTED, principal, project, count)


def require_project_for(session: Session, principal: Principal | None, project_id: str, action: Action) -> Project:
    """Like `access.require_project`. Without a principal (a command), the project only has to exist."""
    if principal is None:
        return require_existing_project(session, project_id)
    return require_project(session, principal, project_id, action)


def require_existing_project(session: Session, project_id: str) -> Project:
    """Raises NotFound."""
    query = sa.select(Project).where(col(Project.id) == project_id, ~IS_DELETED)
    project = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if project is None:
        raise NotFound("Project not found.")
    return project


def _earlier_versions(session: Session, memories: Sequence[Memory]) -> dict[int, list[EarlierVersion]]:
    """Return the earlier versions of these memories by number, oldest first."""
    if not memories:
        return {}
    of_number = {memory.number: memory for memory in memories}
    query = sa.select(MemoryVersion).where(col(MemoryVersion.memory_number).in_(id_subquery(of_number)))
    query = query.order_by(col(MemoryVersion.memory_number), col(MemoryVersion.version).desc())
    rows = session.scalars(query.execution_options(yield_per=ROWS_PER_READ))
    grouped = groupby(rows, key=lambda row: row.memory_number)
    return {number: _history_of(of_number[number], versions) for number, versions in grouped}


def _history_of(memory: Memory, newest_first: Iterable[MemoryVersion]) -> list[EarlierVersion]:
    earlier = (
        EarlierVersion.model_construct(
            version=row.version,
            content=row.content,
            metadata=row.details,
            updated_at=row.updated_at,
            source=row.source,
            pinned=row.pinned,
            expires_at=row.expires_at,
        )
        for row in newest_first
    )
    return without_repeats(memory.content, memory.details, earlier)[::-1]
