"""Actions on the memories that are selected in a list: pin, tag, move, export, delete."""

from starlette.responses import Response

from server.dashboard.pages import PageRequest, redirect
from server.dashboard.views import exchange
from server.domain.memory import selection, trash
from server.domain.memory.exchange.export import ExportFormat
from server.domain.memory.selection import MOST_SELECTED
from server.errors import Invalid


async def act(request: PageRequest) -> Response:
    """Run the action of the pressed button, and go back to the list. Raises Invalid."""
    ids = request.texts("ids")
    if not ids:
        raise Invalid("Select at least one memory.")
    if len(ids) > MOST_SELECTED:
        raise Invalid(f"Select at most {MOST_SELECTED} memories at a time.")
    action = request.text("action")
    if action == "export":
        return await exchange.download(request, ExportFormat.JSONL, ids)
    count = await _run(request, action, ids)
    is_final = action == "delete" and not await request.call.read(trash.days, request.project_id)
    return _back(request, "erase" if is_final else action, count)


async def _run(request: PageRequest, action: str, ids: list[str]) -> int:
    """Run the action, and return how many memories it affected. Raises Invalid."""
    call, project_id = request.call, request.project_id
    match action:
        case "pin" | "unpin":
            return await call.run(selection.pin, project_id, ids, action == "pin", call.index)
        case "tag":
            return await call.run(selection.tag, project_id, ids, request.text("new_tags"), call.index)
        case "move":
            target = request.chosen("target", "a project to move the memories to")
            return await call.run(selection.move, project_id, ids, target)
        case "delete":
            return await call.run(selection.delete, project_id, ids)
    raise Invalid("Choose what to do with the selected memories.")


def _back(request: PageRequest, action: str, count: int) -> Response:
    """Redirect to the same page of the list, with a message that says how many memories were affected."""
    query = request.text("back").removeprefix("?")
    address = f"{request.project_path}/memories" + (f"?{query}" if query else "")
    return redirect(address, f"selected-{action}", count=count)
