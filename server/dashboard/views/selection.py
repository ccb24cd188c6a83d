"""Actions on the memories that are selected in a list: pin, tag, move, export, delete."""

from collections.abc import Awaitable, Callable

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
    if action not in ACTIONS:
        raise Invalid("Choose what to do with the selected memories.")
    count = await ACTIONS[action](request, ids)
    is_final = action == "delete" and not await request.call.read(trash.days, request.project_id)
    return _back(request, "erase" if is_final else action, count)


async def _pin(request: PageRequest, ids: list[str]) -> int:
    return await request.call.run(selection.pin, request.project_id, ids, True, request.call.index)


async def _unpin(request: PageRequest, ids: list[str]) -> int:
    return await request.call.run(selection.pin, request.project_id, ids, False, request.call.index)


async def _tag(request: PageRequest, ids: list[str]) -> int:
    return await request.call.run(selection.tag, request.project_id, ids, request.text("new_tags"), request.call.index)


async def _move(request: PageRequest, ids: list[str]) -> int:
    target = request.chosen("target", "a project to move the memories to")
    return await request.call.run(selection.move, request.project_id, ids, target)


async def _delete(request: PageRequest, ids: list[str]) -> int:
    return await request.call.run(selection.delete, request.project_id, ids)


ACTIONS: dict[str, Callable[[PageRequest, list[str]], Awaitable[int]]] = {
    "pin": _pin,
    "unpin": _unpin,
    "tag": _tag,
    "move": _move,
    "delete": _delete,
}


def _back(request: PageRequest, action: str, count: int) -> Response:
    """Redirect to the same page of the list, with a message that says how many memories were affected."""
    query = request.text("back").removeprefix("?")
    address = f"{request.project_path}/memories" + (f"?{query}" if query else "")
    return redirect(address, f"selected-{action}", count=count)
