"""A project at a glance: how much, since when, about what; and what to do first when it is empty."""

from starlette.responses import Response

from server.dashboard import charts
from server.dashboard.layout import frame_of, last_project
from server.dashboard.pages import HOME, LAST_PROJECT, PageRequest, go
from server.dashboard.views.memories import Row
from server.domain.memory import overview


async def home(visit: PageRequest) -> Response:
    """To the project that was open last in this browser, else the first."""
    frame = await visit.call.read(frame_of)
    here = last_project(frame, visit.request.cookies.get(LAST_PROJECT))
    if here is None:
        return await visit.page("no_projects.html")
    return go(f"{HOME}/projects/{here.project.id}", visit.request.query_params.get("done"))


async def show(visit: PageRequest) -> Response:
    """Counts, the picture over time, the most frequent labels, the newest memories."""
    project_id = visit.path("project_id")
    seen, stats, newest = await visit.call.read(overview.at_a_glance, project_id)
    return await visit.page(
        "overview.html",
        project_id,
        stats=stats,
        columns=charts.columns(seen),
        step=seen.step.value,
        labels={kind.value: charts.rows(labels) for kind, labels in seen.labels.items()},
        newest=[Row.of(memory) for memory in newest.memories],
        picture=charts,
    )
