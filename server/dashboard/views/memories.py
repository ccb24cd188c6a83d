"""The memories of a project: all, newest first, or the results of a search, best first."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.responses import Response

from server.dashboard.dates import by_day, times_of_namesakes, zone_of
from server.dashboard.fields import parse_fields
from server.dashboard.layout import ProjectEntry
from server.dashboard.pages import FORM_BYTES, PageRequest
from server.dashboard.views.list_query import MAX_RESULTS, ListQuery, Order
from server.dashboard.views.memory_rows import Row
from server.domain.memory import memories, search, trash
from server.domain.memory.filters import Filters
from server.domain.memory.inputs import NewMemory
from server.domain.memory.memories import ListRequest
from server.domain.memory.pages import facets, model_notes, saved_views
from server.domain.memory.pages.facets import MOST_COUNTED, Facets
from server.domain.memory.pages.strength import strengths_of
from server.domain.memory.search import SearchPage, SearchRequest
from server.domain.people import users
from server.errors import Invalid, RateLimited
from server.models import Memory
from server.models.base import JSON, JsonObject

PAGE_SIZE = 25
MOST_ENCODED = 3
"""How many bytes a byte may take in a form."""

OTHER_BYTES = 10_000
"""How many bytes of a form are left for its other fields."""


class RowPage(NamedTuple):
    """One page of rows. `weaker` are results that hardly match; they follow the others. `total` is how many memories
    pass the filters, or how many results are better than weak. `next` and `previous` are the query parameters of the
    neighboring pages; None when there is no such page.
    """

    rows: Sequence[Row]
    total: int
    facets: Facets = Facets()
    weaker: Sequence[Row] = ()
    next: Mapping[str, str | int] | None = None
    previous: Mapping[str, str | int] | None = None


async def show(request: PageRequest, deleted: Memory | None = None) -> Response:
    """Show the list. `deleted` is a memory that was just deleted without a trash, which the page offers to restore, as
    it does with the one in the trash that the address names. An invalid filter is reported on the page.
    """
    project_id = deleted.project_id if deleted else request.project_id
    query, results = ListQuery(), RowPage([], 0)
    try:
        query = parse_fields(ListQuery, _parameters(request))
        results = await _row_page(request, project_id, query)
    except (Invalid, RateLimited) as problem:
        request = request.with_problem(problem)
    settings = request.call.runtime.settings
    model = await request.call.read(model_notes.of_project, project_id, settings) if query.q else None
    views = await request.call.read(saved_views.list_own, project_id)
    kept = restore_form(deleted) if deleted else _kept(request)
    is_deleted = deleted is not None or bool(kept)
    known = results.facets if query.is_plain else await request.call.read(facets.facets, project_id, Filters())
    zone = zone_of(request.http.cookies)
    author_ids = {row.memory.created_by for row in (*results.rows, *results.weaker)}
    return await request.render(
        "memories.html",
        project_id,
        query=query,
        results=results,
        days=by_day(results.rows, zone),
        model=model,
        kept=kept,
        is_deleted=is_deleted,
        deletion=_deletion(request),
        trash_days=await request.call.read(trash.days, project_id) if is_deleted else 0,
        targets=await _targets(request, project_id),
        picked=request.texts("ids"),
        most_counted=MOST_COUNTED,
        views=views,
        view=next((view for view in views if view.query == query.query()), None),
        known=known,
        times=times_of_namesakes(known.source_names, zone),
        authors=await request.call.read(users.names_of, author_ids),
    )


def _parameters(request: PageRequest) -> dict[str, str]:
    """Return the query of the address or, after a form, of the list that it was sent from."""
    return dict(request.http.query_params) or dict(parse_qsl(request.text("back").removeprefix("?")))


async def _targets(request: PageRequest, project_id: str) -> list[ProjectEntry]:
    """Return the other projects, to which memories can be moved."""
    projects = (await request.frame()).projects
    return [entry for entry in projects if entry.project.id != project_id and entry.may("write")]


def _deletion(request: PageRequest) -> dict[str, str]:
    """Return the period of a deletion of several memories, which the page offers to undo."""
    given = request.http.query_params
    return {name: given[name] for name in ("deleted_since", "deleted_until") if name in given}


def _kept(request: PageRequest) -> str:
    """Return the form that restores the memory in the trash that the address names, or a form that was refused."""
    deleted_id = request.http.query_params.get("deleted")
    return json.dumps({"id": deleted_id}) if deleted_id else request.text("kept")


def restore_form(memory: Memory) -> str:
    """Return the memory as JSON for a form that adds it again, or "" if that is not possible.

    A text that is longer than one message, because a version of several messages was restored, cannot be added again,
    nor can a memory that is too large for a form.
    """
    messages: list[JSON] = [{**message} for message in memory.messages or [{"role": "user", "content": memory.content}]]
    fields: JsonObject = {
        "messages": messages,
        "metadata": memory.details,
        "user_id": memory.user_id,
        "created_at": memory.created_at.isoformat(),
        "project_id": memory.project_id,
        "pinned": memory.pinned,
        "expires_at": memory.expires_at.isoformat() if memory.expires_at else None,
    }
    with suppress(ValidationError):
        form = NewMemory.model_validate(fields).model_dump_json()
        if MOST_ENCODED * len(form.encode()) < FORM_BYTES - OTHER_BYTES:
            return form
    return ""


async def _row_page(request: PageRequest, project_id: str, query: ListQuery) -> RowPage:
    """Return the rows of one page. Raises Invalid for a bad filter, RateLimited."""
    if query.q:
        return await _search_page(request, project_id, query)
    filters = query.filters()
    list_request = ListRequest(filters, PAGE_SIZE + 1, before=query.before, project_id=project_id, spare=1)
    page = await request.call.read(memories.list_memories, list_request)
    visible = page.memories[:PAGE_SIZE]
    older = {"before": visible[-1].id} if len(page.memories) > PAGE_SIZE or page.is_cut else None
    newest: dict[str, str | int] | None = {} if query.before else None
    counted = await request.call.read(facets.facets, project_id, filters)
    return RowPage([Row(memory) for memory in visible], page.total, counted, (), older, newest)


async def _search_page(request: PageRequest, project_id: str, query: ListQuery) -> RowPage:
    """Return the rows of one page of results. Reads those of the earlier pages again, unless they are too large."""
    skipped, search_request = 0, SearchRequest(query.q, query.filters(), MAX_RESULTS, project_id=project_id)
    page = await request.call.read(search.search, search_request, request.call.index)
    if page.omitted and query.skip >= len(page.results):
        skipped = query.skip
        page = await request.call.read(search.search, replace(search_request, skip=skipped), request.call.index)
    return await request.call.runtime.in_thread(_ranked, page, query, skipped)


def _ranked(page: SearchPage, query: ListQuery, skipped: int) -> RowPage:
    """Return the rows of one page, weak ones last. `skipped` better results are not in `page`. Compares the question
    with each text, which takes long: call it on a worker thread.
    """
    strengths = strengths_of(page, query.q)
    rows = [Row(one.memory, one, strength, query.q) for one, strength in zip(page.results, strengths, strict=True)]
    if query.sort is Order.NEWEST:
        rows.sort(key=lambda row: row.memory.id, reverse=True)
    rows.sort(key=lambda row: row.is_weak)
    close = [row.memory for row in rows if not row.is_weak]
    visible = rows[query.skip - skipped :][:PAGE_SIZE]
    end = query.skip + len(visible)
    return RowPage(
        [row for row in visible if not row.is_weak],
        skipped + len(close),
        facets.facets_of(close) if not skipped else Facets(),
        [row for row in visible if row.is_weak],
        {"skip": end} if end < skipped + len(rows) or page.omitted else None,
        {"skip": max(query.skip - PAGE_SIZE, 0)} if query.skip else None,
    )
