"""Exports and imports a project as JSON lines: one memory per line, with its messages and its history."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Self

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
from server.domain.memory.inputs import MOST_MESSAGES, ROLE_LENGTH, Message, parse_past
from server.domain.memory.memories import hash_content
from server.domain.memory.metadata import CONTENT_LENGTH, Metadata, UserId, require_text
from server.errors import Invalid, NotFound
from server.models import Memory, MemoryVersion, Project
from server.models.base import new_id, now

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


class EarlierVersion(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: int = Field(ge=1)
    content: WholeContent
    metadata: Metadata = Field(default_factory=dict)
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
    for memories in session.scalars(query.execution_options(yield_per=_ROWS_PER_CHUNK)).partitions():
        earlier = _earlier_versions(session, [memory.number for memory in memories if memory.version > 1])
        for memory in memories:
            yield _line_of(memory, earlier[memory.number]).model_dump_json(exclude_defaults=True)


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


def require_existing_project(session: Session, project_id: str) -> None:
    """Raises NotFound."""
    if session.get(Project, project_id, populate_existing=True) is None:
        raise NotFound("Project not found.")


def _earlier_versions(session: Session, numbers: Sequence[int]) -> defaultdict[int, list[EarlierVersion]]:
    """Return the earlier versions of the memories with these numbers, oldest first."""
    versions: defaultdict[int, list[EarlierVersion]] = defaultdict(list)
    if not numbers:
        return versions
    query = sa.select(MemoryVersion).where(col(MemoryVersion.memory_number).in_(id_subquery(session, numbers)))
    for version in session.scalars(query.order_by(col(MemoryVersion.memory_number), col(MemoryVersion.version))):
        versions[version.memory_number].append(
            EarlierVersion.model_construct(
                version=version.version,
                content=version.content,
                metadata=version.details,
                updated_at=version.updated_at,
            )
        )
    return versions


def _line_of(memory: Memory, history: list[EarlierVersion]) -> Line:
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


def version_of(version: EarlierVersion, memory_number: int) -> MemoryVersion:
    return MemoryVersion(
        memory_number=memory_number,
        version=version.version,
        content=version.content,
        details=version.metadata,
        updated_at=version.updated_at,
    )
