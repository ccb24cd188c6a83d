"""A memory as a line of a file, with its messages and its history."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from server.domain.memory.expiry import AnyMoment, Days, expiry_of, require_one_way
from server.domain.memory.inputs import MOST_MESSAGES, ROLE_LENGTH, Message, leave_out_now, parse_past, turns_of
from server.domain.memory.metadata import (
    CONTENT_LENGTH,
    Metadata,
    MetadataOrNone,
    UserId,
    require_content,
    require_text,
)
from server.domain.memory.parameters import VersionNumber
from server.domain.memory.source import short_name, source_of_import
from server.domain.memory.storing import hash_content
from server.domain.memory.versions import MOST_VERSIONS, are_same
from server.errors import Invalid
from server.models import Memory, MemoryVersion
from server.models.base import JsonObject, new_id, now
from server.models.sources import Source
from server.text.reasons import reason_of

_SAME = ("content", "user_id", "created_at", "updated_at", "messages", "version", "pinned", "expires_at")
MEMORY_ATTRIBUTES = {**dict(zip(_SAME, _SAME, strict=True)), "metadata": "details"}
"""The attribute of `Memory` for each field of `Line`, except history and sources. Used for reading and writing."""


def parse_source(value: object) -> Source | None:
    """Return the source that a file states: only its name, or an object as in an export. None for anything else."""
    source = {"name": value} if isinstance(value, str) else value if isinstance(value, dict) else {}
    parts = [source.get(name) for name in ("kind", "id", "name")]
    return Source(*(short_name(part) if isinstance(part, str) else "" for part in parts)) if any(parts) else None


WHOLE_LENGTH = MOST_MESSAGES * (CONTENT_LENGTH + ROLE_LENGTH + 3)


def require_whole_content(text: str) -> str:
    """Return the text of all messages. Raises ValueError if it is too long for that, and as `require_text` does."""
    if len(text) > WHOLE_LENGTH:
        raise ValueError(
            f"has {len(text):,} characters, more than {MOST_MESSAGES} messages of {CONTENT_LENGTH:,}: "
            "split it into several"
        )
    return require_text(text)


WholeContent = Annotated[str, AfterValidator(require_whole_content)]
Past = Annotated[datetime, BeforeValidator(parse_past)]
StatedSource = Annotated[Source | None, BeforeValidator(parse_source)]
"""The source that a file states. An import keeps only its name, because the rest cannot be verified."""

_DAYS = TypeAdapter(Days)
Progress = Callable[[int], object]


def no_progress(_count: int) -> None:
    """Ignore the progress."""


class EarlierVersion(BaseModel):
    """A version before a change. If the text or the metadata is None, it is the same as in the next version.

    `pinned` is None if an older server, without pins and expiry, stored the version or wrote the file.
    """

    model_config = ConfigDict(frozen=True)

    version: VersionNumber
    content: WholeContent | None = None
    # A missing value means an empty object, because exports with a text in every version leave it out.
    metadata: MetadataOrNone = Field(default_factory=dict)
    updated_at: Past
    source: StatedSource = None
    pinned: bool | None = None
    expires_at: AnyMoment = None


class Line(BaseModel):
    """A memory in an export. Only `content` is required. An import gives a new `id`."""

    model_config = ConfigDict(frozen=True)

    id: str | None = None
    content: str
    metadata: Metadata = Field(default_factory=dict)
    user_id: UserId | None = None
    created_at: Past = Field(default_factory=now)
    updated_at: Past = Field(default_factory=lambda line: line["created_at"])
    messages: list[Message] | None = Field(default=None, max_length=MOST_MESSAGES)
    version: VersionNumber = 1
    pinned: bool = False
    expires_at: AnyMoment = None
    source: StatedSource = None
    updated_source: StatedSource = Field(default=None, description="the source of the last change")
    history: list[EarlierVersion] = Field(default_factory=list, description="oldest first")

    @model_validator(mode="before")
    @classmethod
    def _expires_in_one_way(cls, fields: object) -> object:
        """Allow a file to give the expiry in days, but not in days and as a time."""
        if not isinstance(fields, dict) or fields.get("expires_in_days") is None:
            return fields
        try:
            days = _DAYS.validate_python(fields["expires_in_days"])
        except ValidationError as error:
            raise ValueError(f"expires_in_days: {_reason(error)[1]}") from None
        require_one_way(fields.get("expires_at"), days)
        return {**fields, "expires_at": expiry_of(None, days)}

    @model_validator(mode="before")
    @classmethod
    def _now_is_left_out(cls, fields: object) -> object:
        return leave_out_now(fields)

    @model_validator(mode="after")
    def _only_several_messages_are_longer(self) -> Self:
        """Allow a version without messages to be as long: a restored one has the text of all messages."""
        is_whole = self.messages or self.version > 1
        try:
            (require_whole_content if is_whole else require_content)(self.content)
        except ValueError as reason:
            raise ValueError(f"content: {reason}") from None
        return self

    @model_validator(mode="after")
    def _versions_in_order(self) -> Self:
        versions = [version.version for version in self.history] + [self.version]
        if versions != sorted(set(versions)):
            raise ValueError("history: must have the oldest version first, and each version once")
        return self


def line_of(fields: object) -> Line:
    """Return the checked line. Raises Invalid with the field and the reason, but without its place in the file."""
    try:
        return Line.model_validate(fields)
    except ValidationError as error:
        path, reason = _reason(error)
        raise Invalid(f"{reason}.", field=path or None) from None


def _reason(error: ValidationError) -> tuple[str, str]:
    """Return the path of the first invalid field, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    return ".".join(map(str, first["loc"])), reason_of(first)


def line_from(memory: Memory, history: list[EarlierVersion]) -> Line:
    """Return the line from which `memory_of` and `versions_of` restore the memory."""
    fields = {field: getattr(memory, attribute) for field, attribute in MEMORY_ATTRIBUTES.items()}
    messages = [Message.model_construct(None, **message) for message in memory.messages] if memory.messages else None
    fields["messages"] = messages
    fields["source"] = memory.source
    fields["updated_source"] = None if memory.updated_source == memory.source else memory.updated_source
    return Line.model_construct(id=memory.id, **fields, history=history)


def dated(line: Line) -> Line:
    """Return the line, created at its last change if the file names only that time."""
    if "created_at" in line.model_fields_set:
        return line
    return line.model_copy(update={"created_at": line.updated_at})


def memory_of(line: Line) -> Memory:
    """Return the new row of an imported memory, which has no project and no source yet."""
    attributes = {attribute: getattr(line, field) for field, attribute in MEMORY_ATTRIBUTES.items()}
    attributes["messages"] = turns_of(line.messages or ()) or None
    attributes["created_at"] = min(line.created_at, now())
    return Memory(
        **attributes,
        id=new_id("mem_", attributes["created_at"]),
        project_id="",
        content_hash=hash_content(line.content),
    )


def versions_of(line: Line, memory_number: int, import_id: str) -> list[MemoryVersion]:
    """Return the new rows of the earlier versions of an imported memory."""
    return version_rows(without_repeats(line.content, line.metadata, reversed(line.history)), memory_number, import_id)


def version_rows(history: Iterable[EarlierVersion], memory_number: int, import_id: str) -> list[MemoryVersion]:
    """Return the new rows of these versions, which hold only what differs from the next version."""
    return [
        MemoryVersion(
            memory_number=memory_number,
            version=version.version,
            content=version.content,
            details=version.metadata,
            updated_at=version.updated_at,
            source=source_of_import(import_id, version.source),
            pinned=version.pinned,
            expires_at=version.expires_at,
        )
        for version in history
    ]


def without_repeats(content: str, details: JsonObject, newest_first: Iterable[EarlierVersion]) -> list[EarlierVersion]:
    """Return the last versions that a memory keeps, each reduced to what differs from the next version.

    `content` and `details` are the memory's current values.
    """
    versions_kept = []
    for version in islice(newest_first, MOST_VERSIONS):
        changed: dict[str, object] = {"content": None, "metadata": None}
        if version.content is not None and version.content != content:
            changed["content"] = content = version.content
        if version.metadata is not None and not are_same(version.metadata, details):
            changed["metadata"] = details = version.metadata
        versions_kept.append(version.model_copy(update=changed))
    return versions_kept
