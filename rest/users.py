"""The caller's own account over HTTP."""

from datetime import datetime

from pydantic import AliasPath, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply
from rest.organizations import CascadeCounts, DeletedWithAll
from rest.views import Change, IsSet, OfRow
from server.domain import accounts
from server.domain.people import users
from server.shell.runtime import State


class UserView(OfRow):
    id: str
    user_id: str = Field(validation_alias=AliasPath("id"))
    email: str | None
    name: str
    email_verified: IsSet = Field(validation_alias="email_verified_at")
    created_at: datetime
    updated_at: datetime


class NewPersonName(Change):
    name: str


async def me(request: Request[State]) -> Response:
    """Read the user to whom this credential belongs."""
    call = await call_of(request)
    return reply(UserView.of(await call.read(users.me)))


async def rename_me(request: Request[State]) -> Response:
    """Change your name."""
    call = await call_of(request)
    new = await read(request, NewPersonName)
    return reply(UserView.of(await call.run(users.rename, new.name)))


async def delete_me(request: Request[State]) -> Response:
    """Delete your account and personal organization. This cannot be undone."""
    call = await call_of(request)
    counts = await call.run(accounts.delete)
    return reply(DeletedWithAll(message="Account deleted successfully", cascades=CascadeCounts.of(counts)))
