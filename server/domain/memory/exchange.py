"""Export and import: a project's memories as JSON lines, one a memory, with their messages and their history."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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

from server.database import id_subquery, paused
from server.domain.locks import lock_project_shared
from server.domain.memory.inputs import MOST_MESSAGES, ROLE_LENGTH, Message, parse_past
from server.domain.memory.memories import embedding_input, hash_content, insert
from server.domain.memory.metadata import CONTENT_LENGTH, Metadata, UserId, require_text
from server.errors import Invalid, NotFound
from server.index import MemoryIndex
from server.index.outbox import Embedded
from server.models import Memory, MemoryVersion, Project
from server.models.base import new_id, now

LINE_BYTES = 10_000_000
"""The longest line that is read."""

_CHUNK = 500
_EMBEDDED_AT_ONCE = 32

WholeContent = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MOST_MESSAGES * (CONTENT_LENGTH + ROLE_LENGTH + 3)),
    AfterValidator(require_text),
]
Past = Annotated[datetime, BeforeValidator(parse_past)]
Progress = Callable[[int], object]


def no_progress(_count: int) -> None:
    """Progress that nobody watches."""


class EarlierVersion(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: int = Field(ge=1)
    content: WholeContent
    metadata: Metadata = Field(default_factory=dict)
    updated_at: Past


class Line(BaseModel):
    """A memory as it travels: nothing in it belongs to one server; a line from elsewhere may be its content alone."""

    model_config = ConfigDict(frozen=True)

    content: WholeContent
    metadata: Metadata = Field(default_factory=dict)
    user_id: UserId | None = None
    created_at: Past = Field(default_factory=now)
    updated_at: Past = Field(default_factory=lambda line: line["created_at"])
    messages: list[Message] | None = Field(default=None, max_length=MOST_MESSAGES)
    version: int = Field(default=1, ge=1)
    history: list[EarlierVersion] = Field(default_factory=list, description="the oldest first")

    @model_validator(mode="after")
    def _only_several_messages_are_longer(self) -> Self:
        if not self.messages and len(self.content) > CONTENT_LENGTH:
            raise ValueError(f"content: must have at most {CONTENT_LENGTH} characters")
        return self

    @model_validator(mode="after")
    def _versions_in_order(self) -> Self:
        versions = [version.version for version in self.history] + [self.version]
        if versions != sorted(set(versions)):
            raise ValueError("history: must have the oldest version first, and each only once")
        return self


def export_memories(session: Session, project_id: str) -> Iterator[str]:
    """A line for each memory, the oldest first, without its end. Raises NotFound before the first one."""
    _require(session, project_id)
    query = sa.select(Memory).where(col(Memory.project_id) == project_id).order_by(col(Memory.id))
    for memories in session.scalars(query.execution_options(yield_per=_CHUNK)).partitions():
        earlier = _earlier(session, [memory.number for memory in memories if memory.version > 1])
        for memory in memories:
            yield _line(memory, earlier[memory.number]).model_dump_json(exclude_defaults=True)


def import_memories(
    session: Session, project_id: str, lines: Iterable[str], index: MemoryIndex, progress: Progress = no_progress
) -> int:
    """Add what an export wrote, all or nothing; answers how many. `progress` hears how many more are embedded.

    Raises NotFound, Invalid with the number of the first line that cannot be read.
    """
    _require(session, project_id)
    parsed = [parse(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    with paused(session):
        embedded = _embedded(parsed, index, progress)
    lock_project_shared(session, project_id)
    _require(session, project_id)
    for start in range(0, len(parsed), _CHUNK):
        end = start + _CHUNK
        _store(session, project_id, parsed[start:end], embedded[start:end])
    return len(parsed)


def parse(number: int, line: str) -> Line:
    """Raises Invalid, naming the line."""
    if len(line) > LINE_BYTES:
        raise Invalid(f"must be at most {LINE_BYTES // 1_000_000} MB.", field=f"line {number}")
    try:
        return Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = "".join(f"{part}: " for part in (".".join(map(str, first["loc"])),) if part)
        raise Invalid(f"{where}{first['msg'].removeprefix('Value error, ')}.", field=f"line {number}") from None


def _require(session: Session, project_id: str) -> None:
    if session.get(Project, project_id, populate_existing=True) is None:
        raise NotFound("Project not found.")


def _earlier(session: Session, numbers: Sequence[int]) -> defaultdict[int, list[EarlierVersion]]:
    found: defaultdict[int, list[EarlierVersion]] = defaultdict(list)
    if not numbers:
        return found
    query = sa.select(MemoryVersion).where(col(MemoryVersion.memory_number).in_(id_subquery(session, numbers)))
    for version in session.scalars(query.order_by(col(MemoryVersion.memory_number), col(MemoryVersion.version))):
        found[version.memory_number].append(
            EarlierVersion.model_construct(
                version=version.version,
                content=version.content,
                metadata=version.details,
                updated_at=version.updated_at,
            )
        )
    return found


def _line(memory: Memory, history: list[EarlierVersion]) -> Line:
    messages = [Message.model_construct(None, **message) for message in memory.messages] if memory.messages else None
    return Line.model_construct(
        content=memory.content,
        metadata=memory.details,
        user_id=memory.user_id,
        created_at=memory.created_at,
        updated_at=memory.updated_at,
        messages=messages,
        version=memory.version,
        history=history,
    )


def _embedded(lines: Sequence[Line], index: MemoryIndex, progress: Progress) -> list[Embedded]:
    embedded: list[Embedded] = []
    for start in range(0, len(lines), _EMBEDDED_AT_ONCE):
        few = lines[start : start + _EMBEDDED_AT_ONCE]
        embedded += index.embedded([embedding_input(line.content, line.metadata) for line in few])
        progress(len(few))
    return embedded


def _store(session: Session, project_id: str, lines: Sequence[Line], embedded: Sequence[Embedded]) -> None:
    memories = [_memory(project_id, line) for line in lines]
    insert(session, project_id, memories, embedded)
    session.add_all(
        _version(memory.number, version)
        for memory, line in zip(memories, lines, strict=True)
        for version in line.history
    )


def _memory(project_id: str, line: Line) -> Memory:
    created_at = min(line.created_at, now())
    return Memory(
        id=new_id("mem_", created_at),
        project_id=project_id,
        user_id=line.user_id,
        content=line.content,
        content_hash=hash_content(line.content),
        messages=[message.model_dump() for message in line.messages] if line.messages else None,
        details=line.metadata,
        version=line.version,
        created_at=created_at,
        updated_at=line.updated_at,
    )


def _version(number: int, version: EarlierVersion) -> MemoryVersion:
    return MemoryVersion(
        memory_number=number,
        version=version.version,
        content=version.content,
        details=version.metadata,
        updated_at=version.updated_at,
    )
