"""Exports and imports a project as JSON lines: one memory per line, with its messages and its history."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import IO, Annotated, Self

import sqlalchemy as sa
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from sqlmodel import Session, col

from server.database import id_subquery
from server.domain import audit
from server.domain.access import Action, require_project
from server.domain.audit import Event
from server.domain.memory.budget import ROWS_PER_READ
from server.domain.memory.inputs import MOST_MESSAGES, ROLE_LENGTH, Message, parse_past
from server.domain.memory.metadata import CONTENT_LENGTH, Metadata, MetadataOrNone, UserId, require_text
from server.domain.memory.storing import hash_content
from server.domain.memory.versions import MOST_VERSIONS, as_json
from server.errors import Conflict, Invalid, NotFound
from server.models import Memory, MemoryVersion, Project
from server.models.base import JsonObject, new_id, now
from server.principal import Principal

MAX_LINE_LENGTH = 10_000_000
"""The most characters of a line."""

MEMORY_ATTRIBUTES = {
    "content": "content",
    "metadata": "details",
    "user_id": "user_id",
    "created_at": "created_at",
    "updated_at": "updated_at",
    "messages": "messages",
    "version": "version",
}
"""The attribute of `Memory` for each field of `Line` but `history`. Export and import both go by this table."""

_ROWS_PER_CHUNK = 500

WholeContent = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_MESSAGES * (CONTENT_LENGTH + ROLE_LENGTH + 3)),
    AfterValidator(require_text),
]
Past = Annotated[datetime, BeforeValidator(parse_past)]
Progress = Callable[[int], object]


class ExportRunning(Conflict):
    sentence = "An export of yours is still running: let it finish, or cancel its download, and try again."


def no_progress(_count: int) -> None:
    """Ignore the progress."""


class EarlierVersion(BaseModel):
    """A version before a change. A text or metadata that is None is the same as in the next version."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(ge=1)
    content: WholeContent | None = None
    # Absent is an empty object: so do exports say it that have a text in every version.
    metadata: MetadataOrNone = Field(default_factory=dict)
    updated_at: Past


class Line(BaseModel):
    """A memory in an export. It holds no ids, so any server can import it. Only `content` is required."""

    model_config = ConfigDict(frozen=True)

    content: WholeContent
    metadata: Metadata = Field(default_factory=dict)
    user_id: UserId | None = None
    created_at: Past = Field(default_factory=now)
    updated_at: Past = Field(default_factory=lambda line: line["created_at"])
    messages: list[Message] | None = Field(default=None, max_length=MOST_MESSAGES)
    version: int = Field(default=1, ge=1)
    history: list[EarlierVersion] = Field(default_factory=list, description="oldest first")

    @model_validator(mode="after")
    def _only_several_messages_are_longer(self) -> Self:
        if not self.messages and len(self.content) > CONTENT_LENGTH:
            raise ValueError(f"content: must have at most {CONTENT_LENGTH} characters")
        return self

    @model_validator(mode="after")
    def _versions_in_order(self) -> Self:
        versions = [version.version for version in self.history] + [self.version]
        if versions != sorted(set(versions)):
            raise ValueError("history: must have the oldest version first, and each version once")
        return self


def export_memories(session: Session, project_id: str) -> Iterator[str]:
    """Yield a line for each memory, oldest first, without the line break. Raises NotFound at the first step."""
    require_existing_project(session, project_id)
    query = sa.select(Memory).where(col(Memory.project_id) == project_id).order_by(col(Memory.id))
    for memories in session.scalars(query.execution_options(yield_per=ROWS_PER_READ)).partitions():
        earlier = _earlier_versions(session, [memory for memory in memories if memory.version > 1])
        for memory in memories:
            yield line_of(memory, earlier.get(memory.number, [])).model_dump_json(exclude_defaults=True)


def write_export(session: Session, project_id: str, file: IO[bytes], progress: Progress = no_progress) -> int:
    """Write all lines of the project into the file. Return how many. Raises NotFound.

    The file is complete when this returns, so that no slow reader keeps a snapshot of the database open.
    """
    count = 0
    for line in export_memories(session, project_id):
        file.write(f"{line}\n".encode())
        count += 1
        progress(1)
    return count


def record_export(session: Session, principal: Principal | None, project_id: str, count: int) -> None:
    """Record that the project was exported, before it is handed out. `principal` None stands for the command line.

    Raises NotFound, Forbidden.
    """
    if principal:
        project = require_project(session, principal, project_id, Action.READ)
    else:
        project = require_existing_project(session, project_id)
    audit.record_memories(session, Event.MEMORIES_EXPORTED, principal, project, count)


def parse(number: int, line: str) -> Line:
    """Return the parsed line. Raises Invalid, naming the line's number and the field."""
    if len(line) > MAX_LINE_LENGTH:
        raise Invalid(f"must be at most {MAX_LINE_LENGTH // 1_000_000} MB.", field=f"line {number}")
    try:
        return Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise Invalid(f"{path}: {reason}." if path else f"{reason}.", field=f"line {number}") from None


def require_existing_project(session: Session, project_id: str) -> Project:
    """Raises NotFound."""
    project = session.get(Project, project_id, populate_existing=True)
    if project is None:
        raise NotFound("Project not found.")
    return project


def _earlier_versions(session: Session, memories: Sequence[Memory]) -> dict[int, list[EarlierVersion]]:
    """Return the earlier versions of these memories by number, oldest first."""
    if not memories:
        return {}
    of_number = {memory.number: memory for memory in memories}
    query = sa.select(MemoryVersion).where(col(MemoryVersion.memory_number).in_(id_subquery(session, of_number)))
    query = query.order_by(col(MemoryVersion.memory_number), col(MemoryVersion.version).desc())
    rows = session.scalars(query.execution_options(yield_per=ROWS_PER_READ))
    grouped = groupby(rows, key=lambda row: row.memory_number)
    return {number: _history_of(of_number[number], versions) for number, versions in grouped}


def _history_of(memory: Memory, newest_first: Iterable[MemoryVersion]) -> list[EarlierVersion]:
    earlier = (
        EarlierVersion.model_construct(
            version=row.version, content=row.content, metadata=row.details, updated_at=row.updated_at
        )
        for row in newest_first
    )
    return _without_repeats(memory.content, memory.details, earlier)[::-1]


def _without_repeats(content: str, details: JsonObject, newest_first: Iterable[EarlierVersion]) -> list[EarlierVersion]:
    """Return the last versions that a memory keeps, each with only what the next version does not have.

    `content` and `details` are those of the memory.
    """
    kept = []
    for version in islice(newest_first, MOST_VERSIONS):
        changed: dict[str, object] = {"content": None, "metadata": None}
        if version.content is not None and version.content != content:
            changed["content"] = content = version.content
        if version.metadata is not None and as_json(version.metadata) != as_json(details):
            changed["metadata"] = details = version.metadata
        kept.append(version.model_copy(update=changed))
    return kept


def line_of(memory: Memory, history: list[EarlierVersion]) -> Line:
    """Return the line that `memory_of` and `versions_of` read back."""
    fields = {field: getattr(memory, attribute) for field, attribute in MEMORY_ATTRIBUTES.items()}
    messages = [Message.model_construct(None, **message) for message in memory.messages] if memory.messages else None
    fields["messages"] = messages
    return Line.model_construct(**fields, history=history)


def memory_of(line: Line, project_id: str) -> Memory:
    """Return the new row of an imported memory."""
    attributes = {attribute: getattr(line, field) for field, attribute in MEMORY_ATTRIBUTES.items()}
    attributes["messages"] = [message.model_dump() for message in line.messages] if line.messages else None
    attributes["created_at"] = min(line.created_at, now())
    return Memory(
        **attributes,
        id=new_id("mem_", attributes["created_at"]),
        project_id=project_id,
        content_hash=hash_content(line.content),
    )


def versions_of(line: Line, memory_number: int) -> list[MemoryVersion]:
    """Return the new rows of the earlier versions of an imported memory."""
    return [
        MemoryVersion(
            memory_number=memory_number,
            version=version.version,
            content=version.content,
            details=version.metadata,
            updated_at=version.updated_at,
        )
        for version in _without_repeats(line.content, line.metadata, reversed(line.history))
    ]
