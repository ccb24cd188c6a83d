"""Settings of a project: facts, deleting memories, deleting the project."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, redirect
from server.domain.memory import deletions, model_notes
from server.domain.teams import projects


async def show(request: PageRequest) -> Response:
    model = await request.call.read(model_notes.of_project, request.project_id, request.call.runtime.settings)
    return await request.render("settings.html", request.project_id, model=model)


async def delete_memories(request: PageRequest) -> Response:
    """Delete all memories of the project, or of one end user."""
    project = (await request.project()).project
    request.require_confirmation(project.name)
    await request.call.run(deletions.delete_all, project.id, request.text("user_id").strip() or None)
    return redirect(f"{request.project_path}/memories", "all-deleted")


async def delete(request: PageRequest) -> Response:
    project = (await request.project()).project
    request.require_confirmation(project.name)
    await request.call.run(projects.delete, project.id)
    return redirect(HOME, "project-deleted")
