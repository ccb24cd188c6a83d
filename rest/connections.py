"""Connected applications over HTTP."""

from datetime import datetime

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, reply
from rest.views import OfRow
from server.domain.grants import connections
from server.shell.runtime import State


class ConnectionView(OfRow):
    id: str
    client_name: str = Field(description="chosen by the application, not verified")
    client_id: str
    project_id: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None


class ConnectionList(BaseModel):
    connections: list[ConnectionView] = Field(description="newest first")


class Disconnected(BaseModel):
    message: str


async def list_all(request: Request[State]) -> Response:
    """List the applications that you have given access."""
    call = await call_of(request)
    connected = await call.read(connections.list_connections)
    views = [ConnectionView.of(connection.grant, client_name=connection.client_name) for connection in connected]
    return reply(ConnectionList(connections=views))


async def delete(request: Request[State]) -> Response:
    """Disconnect an application. Its tokens stop working immediately."""
    call = await call_of(request)
    await call.run(connections.disconnect, request.path_params["connection_id"])
    return reply(Disconnected(message="Application disconnected"))
