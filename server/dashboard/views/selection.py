"""Actions on the memories that are selected in a list: pin, tag, move, export, delete, and undo the deletion."""

from urllib.parse import urlencode

from starlette.responses import Response

from server.dashboard.pages import PageRequest, redirect
from server.dashboard.views import exchange
from server.domain.memory import selection, trash
from server.domain.memory.exchange.export import ExportFormat
from server.domain.memory.expiry import parse_moment
from server.domain.memory.selection import MOST_SELECTED
from server.errors import Invalid
from server.models.base import now


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
    since = now()
    count = await _run(request, action, ids)
    if action != "delete" or not count:
        return _back(request, action, count)
    if not await request.call.read(trash.days, request.project_id):
        return _back(request, "erase", count)
    return _back(request, action, count, deleted_since=since.isoformat(), deleted_until=now().isoformat())


async def undo_deletion(request: PageRequest) -> Response:
    """Restore the memories of the deletion that the form names by its time. Raises Invalid."""
    try:
        since, until = (parse_moment(request.text(name) or None) for name in ("deleted_since", "deleted_until"))
    except ValueError:
        since = until = None
    if since is None or until is None:
        raise Invalid("Nothing was restored, because the form is incomplete. Restore the memories from the trash.")
    count = await request.call.run(selection.undo_deletion, request.project_id, since, until)
    return _back(request, "restore", count)


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


def _back(request: PageRequest, action: str, count: int, **period: str) -> Response:
    """Redirect to the same page of the list, with a message that says how many memories were affected. `period` is the
    time of a deletion, which the page offers to undo.
    """
    query = "&".join(filter(None, (request.text("back").removeprefix("?"), urlencode(period))))
    address = f"{request.project_path}/memories" + (f"?{query}" if query else "")
    return redirect(address, f"selected-{action}", count=count)
