"""Connected apps: which programs reach which project through OAuth, and cutting them off."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, go
from server.dashboard.pagination import part_of
from server.domain.grants import connections


async def show(visit: PageRequest) -> Response:
    found = await visit.call.read(connections.list_connections)
    return await visit.page("connections.html", connections=part_of(visit, found))


async def disconnect(visit: PageRequest) -> Response:
    await visit.call.run(connections.disconnect, visit.path("connection_id"))
    return go(f"{HOME}/connections", "disconnected")
