"""The page between a form that deletes memories and its effect, if the project has no trash: it asks for a
confirmation, then sends the same form again.
"""

from urllib.parse import urlencode

from starlette.responses import Response

from server.dashboard.done import position
from server.dashboard.layout import find_project
from server.dashboard.pages import PageRequest
from server.domain.memory import changes, trash

CONFIRMED = "permanently"


async def of_memory(request: PageRequest) -> Response | None:
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    back = request.text("back")
    return await _unless_confirmed(request, memory.project_id, 1, urlencode({"back": back}) if back else "")


async def of_selection(request: PageRequest) -> Response | None:
    is_deletion = request.text("action") == "delete"
    count, query = len(set(request.texts("ids"))), request.text("back").removeprefix("?")
    return await _unless_confirmed(request, request.project_id, count if is_deletion else 0, query)


async def of_merge(request: PageRequest) -> Response | None:
    keep, query = request.text("keep"), position(request.http.query_params).removeprefix("?")
    deleted = len(set(request.texts("ids")) - {keep}) if keep else 0
    return await _unless_confirmed(request, request.project_id, deleted, query)


async def _unless_confirmed(request: PageRequest, project_id: str, memories: int, query: str = "") -> Response | None:
    """Let the form pass if it deletes nothing, if the trash keeps it, or if it is confirmed or not permitted anyway.
    Otherwise return the page that warns, which leads back to the page of the form with this query.
    """
    if not memories or request.text(CONFIRMED) or not find_project(await request.frame(), project_id).may("write"):
        return None
    if await request.call.read(trash.days, project_id):
        return None
    return await request.render(
        "permanent.html",
        project_id,
        memories=memories,
        fields=[*request.fields_except(CONFIRMED), (CONFIRMED, "1")],
        back=request.http.url.path.rpartition("/")[0] + (f"?{query}" if query else ""),
    )
