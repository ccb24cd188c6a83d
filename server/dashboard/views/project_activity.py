"""A project's activity as sentences, and the form that undoes what one credential did."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator
from starlette.responses import Response

from server.dashboard.dates import times_of_namesakes, zone_of
from server.dashboard.excerpts import heading
from server.dashboard.fields import parse_fields
from server.dashboard.pages import PageRequest, redirect
from server.dashboard.pagination import back_to
from server.domain.memory import activity
from server.domain.memory.activity import ActivityFilters, NamedEvent
from server.domain.memory.expiry import parse_moment
from server.domain.memory.pages import assistants, titles
from server.domain.memory.revert import Reversion
from server.domain.memory.source import ActivitySourceFilter, parse_id
from server.errors import Invalid
from server.models.activity import ActivityKind
from server.models.sources import SourceKind
from server.shell import reverting

EVENTS_PER_PAGE = 50
LATENESS = timedelta(seconds=30)
"""How long before its event a memory may have been written, because embedding a batch takes time."""

ACTS = {
    ActivityKind.ADD: "added",
    ActivityKind.UPDATE: "changed",
    ActivityKind.DELETE: "deleted",
    ActivityKind.RESTORE: "restored",
    ActivityKind.SEARCH: "searched and found",
    ActivityKind.READ: "read",
    ActivityKind.LIST: "listed",
    ActivityKind.EXPORT: "exported",
    ActivityKind.IMPORT: "imported",
}
WRITES = frozenset(
    {ActivityKind.ADD, ActivityKind.UPDATE, ActivityKind.DELETE, ActivityKind.RESTORE, ActivityKind.IMPORT}
)


class Row(NamedTuple):
    """An event as a sentence, or several equal ones.

    `memory_id` is set if it was about one memory that it did not delete, `undo_since` if it can be undone.
    """

    source: str
    person: str | None
    act: str
    memories: int
    query: str | None
    memory_id: str | None
    title: str
    created_at: datetime
    source_id: str
    is_browser: bool
    undo_since: datetime | None
    times: int = 1

    @classmethod
    def of(cls, record: NamedEvent, titles: Mapping[str, str]) -> "Row":
        event = record.event
        memory_id = event.memory_ids[0] if len(event.memory_ids) == 1 else None
        return cls(
            event.source_name,
            record.actor_name,
            ACTS[event.kind],
            event.count,
            event.query,
            memory_id if memory_id in titles else None,
            heading(titles.get(memory_id or "", "")),
            event.created_at,
            event.source_id,
            event.source_kind == SourceKind.SESSION,
            _minute_before(event.created_at) if event.kind in WRITES and event.count else None,
        )


class ActivityQuery(BaseModel):
    """The query string of the URL: one kind of event, one source, and where the page begins."""

    kind: Annotated[ActivityKind | None, BeforeValidator(lambda value: value or None)] = None
    source: Annotated[ActivitySourceFilter | None, BeforeValidator(lambda value: value or None)] = None
    before: str | None = None

    def query(self, **changes: str | None) -> str:
        """Return the query string with these parameters changed or added."""
        values = {"kind": self.kind, "source": self.source} | changes
        return "?" + urlencode({name: value for name, value in values.items() if value})


async def show(request: PageRequest) -> Response:
    """Show the newest events. An invalid filter is reported on the page."""
    await request.call.runtime.in_thread(request.call.runtime.activity.flush)
    query, events = ActivityQuery(), list[NamedEvent]()
    try:
        query = parse_fields(ActivityQuery, dict(request.http.query_params))
        filters = ActivityFilters(query.source, None, query.kind, query.before)
        events = await request.call.read(activity.list_activity, request.project_id, filters, EVENTS_PER_PAGE + 1)
    except Invalid as problem:
        request = request.with_problem(problem)
    visible = events[:EVENTS_PER_PAGE]
    older = visible[-1].event.id if len(events) > EVENTS_PER_PAGE else None
    single = {record.event.memory_ids[0] for record in visible if len(record.event.memory_ids) == 1}
    works = await request.call.read(assistants.recent_work, request.project_id)
    names = {work.source: work.name for work in works}
    titles_by_id = await request.call.read(titles.titles_of, request.project_id, single)
    return await request.render(
        "project_activity.html",
        request.project_id,
        rows=_folded([Row.of(record, titles_by_id) for record in visible]),
        older=older,
        query=query,
        works=works,
        times=times_of_namesakes(names, zone_of(request.http.cookies)),
        days=request.call.runtime.settings.activity_days,
    )


async def undo(request: PageRequest) -> Response:
    """Undo what one credential did since a given time."""
    try:
        since, source_id = parse_moment(request.text("since")), parse_id(request.text("source_id"))
    except ValueError:
        since = None
    if since is None:
        raise Invalid("Nothing was undone, because the form is incomplete. Reload the page and try again.")
    reversion = Reversion(request.project_id, source_id, since)
    undone = await reverting.undo(request.call, reversion)
    memories = undone.adds + undone.changes + undone.deletions
    return redirect(back_to(request, f"{request.project_path}/activity"), "undone", count=memories)


def _folded(rows: Sequence[Row]) -> list[Row]:
    """Fold equal reads that follow each other into the newest, so that they do not hide the changes."""
    folded: list[Row] = []
    for row in rows:
        last = folded[-1] if folded else None
        if last and not row.undo_since and row._replace(created_at=last.created_at, times=last.times) == last:
            folded[-1] = last._replace(times=last.times + 1)
        else:
            folded.append(row)
    return folded


def _minute_before(moment: datetime) -> datetime:
    """Return the start of the minute in which the writing of the event's memories may have begun."""
    return (moment - LATENESS).replace(second=0, microsecond=0)
