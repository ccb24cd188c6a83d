"""Connected apps: the OAuth clients with access to a project, and disconnecting them."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import back_to, paginate
from server.domain.grants import connections


async def show(request: PageRequest) -> Response:
    all_connections = await request.call.read(connections.list_connections)
    return await request.render("connections.html", connections=paginate(request, all_connections))


async def disconnect(request: PageRequest) -> Response:
    await request.call.run(connections.disconnect, request.path_param("connection_id"))
    return redirect(back_to(request, f"{HOME}/connections"), "disconnected")
