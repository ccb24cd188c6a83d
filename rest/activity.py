"""A project's activity over HTTP: list it, and undo part of it."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, read_query, reply
from rest.memory_views import MemoryId
from rest.views import Change, OfRow
from server.domain.memory import activity
from server.domain.memory.activity import SHOWN_IDS, ActivityFilters, NamedEvent
from server.domain.memory.expiry import parse_moment
from server.domain.memory.revert import Reversion
from server.domain.memory.source import ActivitySourceFilter, SourceId
from server.models.activity import ActivityKind
from server.models.sources import Source
from server.shell import reverting
from server.shell.runtime import State

EventId = Annotated[str, StringConstraints(pattern=r"^act_[0-9a-f]{32}$")]


class ActivityQuery(Change):
    source: ActivitySourceFilter | None = Field(
        default=None, description="api_key, application, session, import or command; or the id of one"
    )
    memory_id: MemoryId | None = Field(default=None, description="only events about this memory")
    kind: ActivityKind | None = Field(default=None, description="only events of this kind")
    before: EventId | None = Field(default=None, description="only events before this one, for paging")
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class ActivityView(OfRow):
    id: str
    kind: ActivityKind
    source: Source
    actor_id: str | None = Field(description="the user whose credential was used; null for the command line")
    actor_name: str | None
    memory_ids: list[str] = Field(description="the ids of the affected memories, at most the first 100")
    query: str | None = Field(description="the query of a search; null for anything else")
    count: int = Field(description="how many memories were affected")
    created_at: datetime

    @classmethod
    def of_named(cls, record: NamedEvent) -> Self:
        event = record.event
        return cls.of(
            event,
            source=Source(event.source_kind, event.source_id, event.source_name),
            actor_id=event.actor_id or None,
            actor_name=record.actor_name,
            memory_ids=event.memory_ids[:SHOWN_IDS],
        )


class ActivityList(BaseModel):
    events: list[ActivityView] = Field(description="newest first")


async def list_all(request: Request[State]) -> Response:
    """List what was done with the project's memories, through which source, and by which user."""
    call = await call_of(request)
    query = read_query(request, ActivityQuery)
    await call.runtime.in_thread(call.runtime.activity.flush)
    filters = ActivityFilters(query.source, query.memory_id, query.kind, query.before)
    events = await call.read(activity.list_activity, request.path_params["project_id"], filters, query.limit)
    return reply(ActivityList(events=[ActivityView.of_named(event) for event in events]))


class RevertRequest(Change):
    source_id: SourceId = Field(description="an API key, a connection, a session or an import, as `source` names it")
    since: Annotated[datetime, BeforeValidator(parse_moment)]
    dry_run: bool = Field(default=False, description="true counts what would be undone, and changes nothing")


class Reverted(BaseModel):
    dry_run: bool
    adds: int = Field(description="how many added memories were moved to the trash")
    changes: int = Field(description="how many changed memories were set back to their previous version")
    deletions: int = Field(description="how many deleted memories were restored from the trash")
    skipped: int = Field(
        description="how many memories were left alone because somebody else changed or deleted them afterwards"
    )
    beyond_history: int = Field(
        exclude_if=lambda count: count == 0,
        description=(
            "how many memories were left alone because their previous version is gone. Present if there are any"
        ),
    )


async def undo(request: Request[State]) -> Response:
    """Undo what one source did to the project's memories since a given time. Only for the project's admins."""
    call = await call_of(request)
    body = await read(request, RevertRequest)
    reversion = Reversion(request.path_params["project_id"], body.source_id, body.since)
    undone = await (reverting.planned if body.dry_run else reverting.undo)(call, reversion)
    return reply(Reverted(dry_run=body.dry_run, **undone._asdict()))
