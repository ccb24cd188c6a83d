"""The inputs that create and change memories. Doors parse requests into these models."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from server.domain.memory.metadata import DESCRIPTION, Content, Metadata, UserId
from server.domain.memory.periods import moment_of
from server.models.base import now

ROLE_LENGTH = 50
MOST_MESSAGES = 100
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=1)


def parse_past(value: object) -> datetime | None:
    """Return the time, from 1970 until now, in UTC. A caller's clock may be a minute fast.

    Raises ValueError with a reason for the caller.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        value = value.isoformat()
    moment = moment_of(value if isinstance(value, str) else "")
    if not EARLIEST <= moment <= now() + CLOCK_SKEW:
        raise ValueError("must be a moment from 1970 until now")
    return moment


class Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    role: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=ROLE_LENGTH)] = Field(
        pattern=r"^[^\x00-\x1f\x7f]+$", description="who speaks: user, assistant, system, a name"
    )
    content: Content


class NewMemory(BaseModel):
    """A memory to create. The content of a single message is stored verbatim.

    Several messages become one text of `role: content` lines, and are also stored in full.
    """

    model_config = ConfigDict(frozen=True)

    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    metadata: Metadata = Field(default_factory=dict, description=DESCRIPTION)
    user_id: UserId | None = Field(
        default=None, description="your end user; filters, lists and deletions can be limited to it"
    )
    project_id: str | None = Field(
        default=None, min_length=1, description="required with a session, which can access several projects"
    )
    created_at: Annotated[datetime | None, BeforeValidator(parse_past)] = Field(
        default=None, description="a past time, for imported memories; default: now"
    )

    @property
    def content(self) -> str:
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{message.role}: {message.content}" for message in self.messages)


class MemoryChange(BaseModel):
    """A change to a memory. None keeps the current value."""

    model_config = ConfigDict(frozen=True)

    text: Content | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.text is None and self.metadata is None:
            raise ValueError("text or metadata: give at least one of them")
        return self
