"""What callers hand in to be remembered: the wire form and the domain's input in one."""

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


def parse_past(given: object) -> datetime | None:
    """A moment from 1970 until now; a caller's clock may be a minute ahead. Raises ValueError with a reason to show."""
    if given is None:
        return None
    moment = moment_of(given.isoformat() if isinstance(given, datetime) else given if isinstance(given, str) else "")
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
    """One memory: a single message is kept verbatim, several are one text and are kept in full beside it."""

    model_config = ConfigDict(frozen=True)

    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    metadata: Metadata = Field(default_factory=dict, description=DESCRIPTION)
    user_id: UserId | None = Field(default=None, description="your end user: a partition of the project")
    project_id: str | None = Field(
        default=None, min_length=1, description="needed with a session, which reaches several projects"
    )
    created_at: Annotated[datetime | None, BeforeValidator(parse_past)] = Field(
        default=None, description="a past moment, for what is brought in from elsewhere; now otherwise"
    )

    @property
    def content(self) -> str:
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n".join(f"{message.role}: {message.content}" for message in self.messages)


class MemoryChange(BaseModel):
    """What is given replaces what was there."""

    model_config = ConfigDict(frozen=True)

    text: Content | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.text is None and self.metadata is None:
            raise ValueError("text or metadata: give at least one of them")
        return self
