"""The overview of a project: counts, memories over time, frequent labels, newest memories."""

from datetime import UTC

from starlette.responses import Response

from server.dashboard import charts
from server.dashboard.dates import times_of_namesakes, zone_of
from server.dashboard.layout import last_project
from server.dashboard.pages import HOME, LAST_PROJECT_COOKIE, PageRequest, redirect
from server.dashboard.views.memory_rows import Row
from server.domain.memory import examples
from server.domain.memory.pages import assistants, model_notes, overview
from server.domain.people import users


async def home(request: PageRequest) -> Response:
    """Redirect to the project last opened in this browser, or the one with the most memories. The query says what a
    form has done.
    """
    entry = last_project(await request.frame(), request.http.cookies.get(LAST_PROJECT_COOKIE))
    if entry is None:
        return await request.render("no_projects.html")
    query = request.http.url.query
    return redirect(f"{HOME}/projects/{entry.project.id}" + (f"?{query}" if query else ""))


async def add_examples(request: PageRequest) -> Response:
    """Add example memories to an empty project. Raises Invalid if it has memories."""
    await request.call.run(examples.add, request.project_id, request.call.index)
    return redirect(request.project_path, "examples-added")


async def show(request: PageRequest) -> Response:
    zone = zone_of(request.http.cookies)
    project_overview, stats, newest, usage = await request.call.read(overview.at_a_glance, request.project_id, zone)
    model = await request.call.read(model_notes.of_project, request.project_id, request.call.runtime.settings)
    works = await request.call.read(assistants.recent_work, request.project_id)
    return await request.render(
        "overview.html",
        request.project_id,
        model=model,
        stats=stats,
        usage=usage,
        columns=charts.columns(project_overview),
        step=project_overview.step.value,
        is_utc=zone is UTC,
        labels={kind.value: frequent.labels for kind, frequent in project_overview.labels.items()},
        newest=[Row(memory) for memory in newest.memories],
        chart=charts,
        works=works,
        times=times_of_namesakes({work.source: work.name for work in works}, zone),
        people=await request.call.read(users.names_of, {work.actor_id for work in works}),
    )
