"""A project's settings: what it is, forgetting everything in it, deleting it."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, go
from server.domain.memory import memories
from server.domain.teams import projects


async def show(visit: PageRequest) -> Response:
    return await visit.page("settings.html", visit.path("project_id"))


async def delete_memories(visit: PageRequest) -> Response:
    """All of them, or those of one end user."""
    place = await visit.place(visit.path("project_id"))
    visit.require_typed(place.project.name)
    await visit.call.run(memories.delete_all, place.project.id, visit.text("user_id").strip() or None)
    return go(f"{visit.project_path}/memories", "all-deleted")


async def delete(visit: PageRequest) -> Response:
    place = await visit.place(visit.path("project_id"))
    visit.require_typed(place.project.name)
    await visit.call.run(projects.delete, place.project.id)
    return go(HOME, "project-deleted")
