"""The inputs that create and change memories. Doors parse requests into these models."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from server.domain.memory.expiry import (
    EXPIRES_AT,
    EXPIRES_IN_DAYS,
    AnyMoment,
    Days,
    Future,
    parse_moment,
    require_one_way,
)
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, Labels, parse_list
from server.domain.memory.metadata import (
    DESCRIPTION,
    Content,
    Metadata,
    UserId,
    is_blank,
    parse_metadata,
)
from server.models.base import JsonObject, now
from server.text.spelling import wrong_name_hint

ROLE_LENGTH = 50
MOST_MESSAGES = 100
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=1)
EASTERNMOST = timezone(timedelta(hours=14))
"""The zone where each day begins first."""


def parse_past(value: object) -> datetime | None:
    """Return the time, from 1970 until now, in UTC. A caller's clock may be a minute fast. A day (a date, or midnight
    without an offset) that has only begun east of UTC means now.

    Raises ValueError with a reason for the caller.
    """
    moment, latest = parse_moment(value), now()
    if moment is None or EARLIEST <= moment <= latest + CLOCK_SKEW:
        return moment
    if moment < EARLIEST or not (begun := parse_moment(value, EASTERNMOST)) or begun > latest:
        raise ValueError("must be a time between 1970 and now")
    if moment.time() == time.min:
        return latest
    raise ValueError("must not be in the future; a time without an offset, such as +09:00, is in UTC")


def leave_out_now(fields: object) -> object:
    """Return the fields of a memory without a `created_at` that is a day that has only begun in the east. It means now,
    and the same request or file has another now later.
    """
    if not isinstance(fields, dict):
        return fields
    with suppress(ValueError):
        written = fields.get("created_at")
        if parse_past(written) != parse_moment(written):
            return {name: value for name, value in fields.items() if name != "created_at"}
    return fields


TextKind = Literal["text", "input_text", "output_text"]


def join_parts(content: object) -> object:
    """Return the text of a list of parts, as chat APIs send it, or of one part, or None if there are only parts without
    text. Return anything else unchanged. Raises ValueError.
    """
    if not isinstance(content, list | dict):
        return content
    parts = parts_of(content)
    texts = [text for part in parts if (text := text_of(part)) is not None]
    text = "\n".join(texts)
    return None if len(texts) < len(parts) and is_blank(text) else text


def parts_of(content: object) -> list[object]:
    """Return the parts of a message's content, which may be a list or one part. A plain text has none."""
    if isinstance(content, dict):
        return [content]
    return content if isinstance(content, list) else []


def text_of(part: object) -> str | None:
    """Return the text of a part of a message, or None for an image, a tool call and the like. Raises ValueError."""
    if isinstance(part, str):
        return part
    kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
    is_text = kind in get_args(TextKind)
    if not isinstance(kind, str) or (is_text and not isinstance(text, str)):
        raise ValueError('must be text, or a list of parts such as {"type": "text", "text": "Hello"}')
    return text if is_text else None


class TextPart(BaseModel):
    type: TextKind
    text: str


class OtherPart(BaseModel):
    type: str


Part = TextPart | OtherPart
Sent = str | Part | list[str | Part] | None


class Message(BaseModel):
    """Unknown fields, and kinds of parts without text, are kept so that the answer can name them. They are not stored.
    Only a call of tools, or a message of parts without text, may lack `content`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    role: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ROLE_LENGTH)] = Field(
        pattern=r"^[^\x00-\x1f\x7f]+$", description="the speaker: user, assistant, system or a name"
    )
    content: Annotated[Content | None, BeforeValidator(join_parts, json_schema_input_type=Sent)] = Field(
        description="the text, or a list of parts, whose texts become lines; "
        "a call of tools without text, and parts without text, are left out"
    )

    @model_validator(mode="before")
    @classmethod
    def _call_needs_no_text(cls, fields: object) -> object:
        if not isinstance(fields, dict):
            return fields
        content = fields.get("content")
        if content is not None and not (isinstance(content, str) and is_blank(content)):
            return fields
        if fields.get("tool_calls") or fields.get("function_call"):
            return {**fields, "content": None}
        return {name: value for name, value in fields.items() if value is not None}

    @model_validator(mode="before")
    @classmethod
    def _names_other_parts(cls, fields: object) -> object:
        if not isinstance(fields, dict):
            return fields
        kinds = [part.get("type") for part in parts_of(fields.get("content")) if isinstance(part, dict)]
        return {kind: None for kind in kinds if isinstance(kind, str) and kind not in get_args(TextKind)} | fields


def turns_of(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Return the messages that have text, as they are stored: objects of `role` and `content`."""
    return [{"role": message.role, "content": message.content} for message in messages if message.content]


class NewMemory(BaseModel):
    """A memory to create, from `content` or from `messages`. The content of a single message is stored verbatim.

    Several messages become one text of `role: content` lines, and are also stored in full, unless they have no text.
    Labels may be separate fields or part of the metadata. Unknown fields are kept, so that the answer can name them.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    content: Content | None = Field(default=None, description="the text, unless you send messages")
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=MOST_MESSAGES)
    metadata: Metadata = Field(default_factory=dict, description=DESCRIPTION)
    tags: Labels | None = Field(default=None, description="may be sent in metadata instead")
    people_mentioned: Labels | None = Field(default=None, description="may be sent in metadata instead")
    topic_category: str | None = Field(default=None, description="may be sent in metadata instead")
    user_id: UserId | None = Field(
        default=None, description="your end user; searches, lists and deletions can be limited to one"
    )
    project_id: str | None = Field(
        default=None, min_length=1, description="required with a session, because it can access several projects"
    )
    created_at: Annotated[datetime | None, BeforeValidator(parse_past)] = Field(
        default=None, description="a time in the past, for imported memories; default: now"
    )
    expires_at: AnyMoment = Field(default=None, description=EXPIRES_AT)
    expires_in_days: Days | None = Field(default=None, description=EXPIRES_IN_DAYS)
    pinned: bool = Field(default=False, description="true if every conversation should begin with this memory")
    organization_id: str | None = Field(
        default=None, min_length=1, description="must be the organization of the project"
    )

    @model_validator(mode="before")
    @classmethod
    def _null_and_now_are_left_out(cls, fields: object) -> object:
        if not isinstance(fields, dict):
            return fields
        return leave_out_now({name: value for name, value in fields.items() if value is not None})

    @model_validator(mode="after")
    def _has_one_text(self) -> Self:
        if (self.content is None) == (self.messages is None):
            instead = wrong_name_hint(["content", "messages"], self.model_extra or ()) if self.content is None else ""
            raise ValueError(f"content or messages: give exactly one of them{instead}")
        if self.content is None and not self.turns:
            raise ValueError("messages: must have at least one message with text")
        require_one_way(self.expires_at, self.expires_in_days)
        if labels := self._labels():
            require_same_labels(labels, self.metadata)
            try:
                parse_metadata(self.details)  # together with the separate labels, it may be too large
            except ValueError as reason:
                raise ValueError(f"metadata: {reason}") from None
        return self

    @property
    def text(self) -> str:
        if self.content is not None:
            return self.content
        turns = self.turns
        if len(turns) == 1:
            return turns[0]["content"]
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)

    @property
    def turns(self) -> list[dict[str, str]]:
        return turns_of(self.messages or ())

    @property
    def details(self) -> JsonObject:
        """The metadata, including the labels in separate fields."""
        return {**self.metadata, **self._labels()}

    def _labels(self) -> JsonObject:
        labels = {TAGS: self.tags, PEOPLE: self.people_mentioned, CATEGORY: self.topic_category}
        return {key: value for key, value in labels.items() if value is not None}


def require_same_labels(labels: JsonObject, metadata: JsonObject) -> None:
    """Raises ValueError if a label has different values in the metadata and in its own field."""
    for key, value in labels.items():
        other = metadata.get(key)
        if other not in (None, "", value) and (key == CATEGORY or parse_list(other) != parse_list(value)):
            raise ValueError(f"{key} and metadata.{key}: have different values; give one of them")


def _one_name(value: object) -> object:
    """Let callers write `text` for `content`. Raises ValueError if they give both and the values differ."""
    if not isinstance(value, dict) or not value.keys() >= {"content", "text"}:
        return value
    content, text = value["content"], value["text"]
    if None not in (content, text) and content != text:
        raise ValueError("text and content: have different values; give one of them")
    left_out = "content" if content is None else "text"
    return {key: part for key, part in value.items() if key != left_out}


class MemoryChange(BaseModel):
    """A change to a memory. None keeps the current value; an explicit None for `expires_at` means never."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra=lambda schema: schema["properties"].update(text=schema["properties"]["content"]),
    )

    text: Content | None = Field(
        default=None,
        validation_alias=AliasChoices("content", "text"),
        description="the new text; `content` and `text` are two names for it, so send only one",
    )
    metadata: Metadata | None = None
    pinned: bool | None = None
    expires_at: Future = Field(default=None, description=f"{EXPIRES_AT}; null means never")

    _spelling = model_validator(mode="before")(_one_name)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.values:
            raise ValueError("content, metadata, pinned or expires_at: give at least one of them")
        return self

    @property
    def values(self) -> dict[str, object]:
        """The values to set, by field."""
        never = {"expires_at"} & self.model_fields_set
        values = {name: getattr(self, name) for name in MemoryChange.model_fields}
        return {name: value for name, value in values.items() if value is not None or name in never}
