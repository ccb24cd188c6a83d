"""The source of a memory in a tool's answer: what saved it, and when."""

from datetime import datetime

from pydantic import BaseModel, Field

from server.models import Memory
from server.models.base import now
from server.models.sources import Source, SourceKind
from server.plurals import count

UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))


class SourceView(BaseModel):
    """A source, and a phrase for people. All empty if the source is unknown, because schemas have no null."""

    kind: str = Field(description="api_key, application, session or import")
    id: str
    name: str
    saved: str = Field(description="who saved it and when, in words")

    @classmethod
    def of(cls, memory: Memory) -> "SourceView":
        source = memory.source or Source("", "", "")
        return cls(kind=source.kind, id=source.id, name=source.name, saved=saved_by(memory))


def saved_by(memory: Memory) -> str:
    """Return "saved by Claude Code, 3 days ago"."""
    source, age = memory.source, age_of(memory.created_at)
    if source is None:
        return f"saved {age}"
    if source.kind == SourceKind.IMPORT:
        return f"imported ({source.name}), {age}"
    return f"saved by {source.name}, {age}"


def age_of(moment: datetime) -> str:
    """Return how long ago it was, in the largest unit of which at least one has passed."""
    seconds = int((now() - moment).total_seconds())
    for unit, length in UNITS:
        if seconds >= length:
            return f"{count(seconds // length, unit)} ago"
    return "just now"
