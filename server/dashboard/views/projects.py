"""Settings of a project: facts, deleting memories, deleting the project."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, redirect
from server.domain.memory import deletions
from server.domain.memory.pages import model_notes
from server.domain.teams import projects
from server.errors import Invalid
from server.plurals import count

TRASH_DAYS = {"": "Server default", "0": "Don’t keep them", "7": "7 days", "30": "30 days", "90": "90 days"}
"""The choices of the form, by days. A project that has other days offers those too."""


async def show(request: PageRequest) -> Response:
    model = await request.call.read(model_notes.of_project, request.project_id, request.call.runtime.settings)
    days, choices = await _trash_choices(request)
    return await request.render("settings.html", request.project_id, model=model, days=days, choices=choices)


async def change(request: PageRequest) -> Response:
    """Change the name, and how long deleted memories are kept. Raises Invalid."""
    days = request.text("trash_days")
    if days not in (await _trash_choices(request))[1]:
        raise Invalid("choose one of the options.", field="Keep deleted memories")
    trash_days = int(days) if days else None
    await request.call.run(projects.change, request.project_id, request.text("name"), trash_days)
    return redirect(f"{request.project_path}/settings", "project-saved")


async def delete_memories(request: PageRequest) -> Response:
    """Delete all memories of the project, or of one end user."""
    project = (await request.project()).project
    request.require_confirmation(project.name)
    user_id = request.text("user_id").strip() or None
    deleted = await request.call.run(deletions.delete_all, project.id, user_id)
    return redirect(f"{request.project_path}/memories", "all-deleted", count=deleted)


async def delete(request: PageRequest) -> Response:
    project = (await request.project()).project
    request.require_confirmation(project.name)
    await request.call.run(projects.delete, project.id)
    return redirect(HOME, "project-deleted")


async def _trash_choices(request: PageRequest) -> tuple[str, dict[str, str]]:
    """Return the days that the project has, as the form sends them, and all choices."""
    trash_days = (await request.project()).project.trash_days
    if trash_days is None:
        return "", TRASH_DAYS
    days = str(trash_days)
    return days, {**TRASH_DAYS, days: TRASH_DAYS.get(days, count(trash_days, "day"))}
