"""Connected applications over HTTP."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, reply
from server.domain.grants import connections
from server.domain.grants.connections import Connection
from server.shell.runtime import State


class ConnectionView(BaseModel):
    id: str
    client_name: str = Field(description="chosen by the application, not verified")
    client_id: str
    project_id: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, connection: Connection) -> Self:
        grant = connection.grant
        return cls(
            id=grant.id,
            client_name=connection.client_name,
            client_id=grant.client_id,
            project_id=grant.project_id,
            scopes=grant.scopes,
            created_at=grant.created_at,
            last_used_at=grant.last_used_at,
        )


class ConnectionList(BaseModel):
    connections: list[ConnectionView] = Field(description="newest first")


class Disconnected(BaseModel):
    message: str


async def list_all(request: Request[State]) -> Response:
    """List the applications that you have given access."""
    call = await call_of(request)
    connected = await call.read(connections.list_connections)
    return reply(ConnectionList(connections=[ConnectionView.of(connection) for connection in connected]))


async def delete(request: Request[State]) -> Response:
    """Disconnect an application. Its tokens stop working immediately."""
    call = await call_of(request)
    await call.run(connections.disconnect, request.path_params["connection_id"])
    return reply(Disconnected(message="Application disconnected"))
