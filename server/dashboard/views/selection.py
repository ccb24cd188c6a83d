"""Actions on the memories that are selected in a list: pin, tag, move, export, delete."""

from collections.abc import Awaitable, Callable

from starlette.responses import RedirectResponse, Response

from server.dashboard.pages import PageRequest
from server.dashboard.views import exchange
from server.domain.memory import selection
from server.domain.memory.exchange.export import ExportFormat
from server.errors import Invalid


async def act(request: PageRequest) -> Response:
    """Run the action of the pressed button, and go back to the list. Raises Invalid."""
    ids = request.texts("ids")
    if not ids:
        raise Invalid("Select at least one memory.")
    action = request.text("action")
    if action == "export":
        return await exchange.download(request, ExportFormat.JSONL, ids)
    if action not in ACTIONS:
        raise Invalid("Choose what to do with the selected memories.")
    await ACTIONS[action](request, ids)
    return _back(request, action)


async def _pin(request: PageRequest, ids: list[str]) -> None:
    await request.call.run(selection.pin, request.project_id, ids, True, request.call.index)


async def _unpin(request: PageRequest, ids: list[str]) -> None:
    await request.call.run(selection.pin, request.project_id, ids, False, request.call.index)


async def _tag(request: PageRequest, ids: list[str]) -> None:
    await request.call.run(selection.tag, request.project_id, ids, request.text("new_tags"), request.call.index)


async def _move(request: PageRequest, ids: list[str]) -> None:
    await request.call.run(selection.move, request.project_id, ids, request.text("target"))


async def _delete(request: PageRequest, ids: list[str]) -> None:
    await request.call.run(selection.delete, request.project_id, ids)


ACTIONS: dict[str, Callable[[PageRequest, list[str]], Awaitable[None]]] = {
    "pin": _pin,
    "unpin": _unpin,
    "tag": _tag,
    "move": _move,
    "delete": _delete,
}


def _back(request: PageRequest, action: str) -> Response:
    """Redirect to the same page of the list, with a message."""
    query = request.text("back").removeprefix("?")
    address = f"{request.project_path}/memories?" + (f"{query}&" if query else "")
    return RedirectResponse(f"{address}done=selected-{action}", 303)
