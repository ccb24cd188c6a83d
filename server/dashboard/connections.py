"""Connected apps: which programs reach which project through OAuth, and cutting them off."""

from starlette.responses import Response

from server.dashboard.pages import HOME, Visit, go
from server.dashboard.parts import part_of
from server.domain import connections


async def show(visit: Visit) -> Response:
    found = await visit.call.read(connections.list_connections)
    return await visit.page("connections.html", connections=part_of(visit, found))


async def disconnect(visit: Visit) -> Response:
    await visit.call.run(connections.disconnect, visit.path("connection_id"))
    return go(f"{HOME}/connections", "disconnected")
