"""The arguments of every tool. The descriptions are prompts: a model reads them to decide what to write.

No type here is a union or has null: an optional argument has a default that means "left out". `tools.arguments` reads
what models write into these types.
"""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from server.domain.memory.context import DEFAULT_BUDGET, ContextBudget
from server.domain.memory.expiry import Days
from server.domain.memory.metadata import CONTENT_LENGTH, METADATA_BYTES, Content, Metadata
from server.domain.memory.parameters import Limit, Offset, PageLimit, Query, Threshold
from server.domain.memory.periods import VOCABULARY

MEMORY_ID = re.compile(r"(?<![0-9a-z_])mem_[0-9a-f]{32}(?![0-9a-z_])", re.IGNORECASE)


def read_id(value: object) -> str:
    """Return the one memory id in the text, which may be in quotes or part of the memory's URL. Raises ValueError with
    a reason for the caller.
    """
    ids: set[str] = {match.casefold() for match in MEMORY_ID.findall(value if isinstance(value, str) else "")}
    if len(ids) > 1:
        raise ValueError("give one id at a time")
    if not ids:
        raise ValueError("give the whole id: mem_ and 32 characters")
    return ids.pop()


Id = Annotated[
    str, BeforeValidator(read_id), Field(description="A memory's id from another tool's answer (mem_…), or its url.")
]
SOURCE = {"type": "string", "description": "Where the memory comes from, such as a URL. Other keys are allowed."}
Data = Annotated[Metadata, WithJsonSchema({"type": "object", "properties": {"source": SOURCE}})]
"""Metadata. Gemini refuses an object type without properties, so the schema names one."""

Moment = Annotated[str, Field(max_length=100)]


class SearchArguments(BaseModel):
    query: Query = Field(description="A question or keywords. Empty text or * gives the newest memories.")
    limit: Limit = Field(default=10, description="Maximum number of results; 10 if left out.")
    tags: list[str] = Field(default=[], description="Only memories with any of these tags.")
    match_all_tags: bool = Field(default=False, description="True: only memories that have all of the tags.")
    people_mentioned: list[str] = Field(default=[], description="Only memories about any of these people.")
    topic_category: str = Field(default="", description="Only memories of this category.")
    temporal_filter: str = Field(default="", description=f"Only memories saved in this period: {VOCABULARY}.")
    timezone: str = Field(
        default="UTC",
        description="The user's time zone, such as Europe/Berlin, in which days begin and end; UTC if left out.",
    )
    created_after: Moment = Field(default="", description="Only memories from this ISO 8601 date or time on.")
    created_before: Moment = Field(
        default="", description="Only memories before this ISO 8601 date or time; a date excludes that day."
    )
    metadata: Data = Field(default={}, description="Only memories whose metadata has exactly these values.")
    threshold: Threshold = Field(
        default=0,
        description="Only results with at least this score; 0 returns all. If left out, chance matches are dropped.",
    )


class FetchArguments(BaseModel):
    id: Id


class ListArguments(BaseModel):
    limit: PageLimit = Field(default=10, description="Maximum number of memories; 10 if left out.")
    offset: Offset = Field(default=0, description="How many of the newest memories to skip.")
    tags: list[str] = Field(default=[], description="Only memories with any of these tags.")
    topic_category: str = Field(default="", description="Only memories of this category.")
    pinned: bool = Field(default=False, description="True: only pinned memories.")


class ContextArguments(BaseModel):
    budget: ContextBudget = Field(
        default=DEFAULT_BUDGET, description=f"Maximum number of characters to return; {DEFAULT_BUDGET} if left out."
    )


class AddArguments(BaseModel):
    content: Content = Field(
        description=f"The text to remember, in full sentences; at most {CONTENT_LENGTH:,} characters."
    )
    tags: list[str] = Field(default=[], description='Labels, such as ["work", "travel"].')
    people_mentioned: list[str] = Field(default=[], description='People it is about, such as ["Anna", "Dr Li"].')
    topic_category: str = Field(default="", description='One broad topic, such as "health".')
    created_at: Moment = Field(
        default="",
        description="When it happened, as an ISO 8601 date or time in the past, in UTC unless it has an offset such as "
        "+02:00; now if left out.",
    )
    expires_in_days: Days = Field(
        default=0,
        description="Days until it is deleted, for something that is true only for a while; never if left out.",
    )
    pinned: bool = Field(default=False, description="True if every conversation should begin with it.")
    metadata: Data = Field(
        default={}, description=f"Anything else worth keeping, as JSON of at most {METADATA_BYTES // 1024} KB."
    )


class UpdateArguments(BaseModel):
    id: Id
    content: Content = Field(default="", description="The new text; leave it out to keep the current text.")
    tags: list[str] = Field(default=[], description="Replaces all the tags; an empty list removes them.")
    people_mentioned: list[str] = Field(default=[], description="Replaces all the people; an empty list removes them.")
    topic_category: str = Field(
        default="", description='The new category; to remove it, give metadata {"topic_category": null}.'
    )
    pinned: bool = Field(default=False, description="True pins it for the start of conversations, false unpins it.")
    metadata: Data = Field(
        default={}, description="Values to add or change; null removes a key, and all other keys stay."
    )


class DeleteArguments(BaseModel):
    id: Id
    permanent: bool = Field(default=False, description="True deletes it permanently: nobody can restore it.")
