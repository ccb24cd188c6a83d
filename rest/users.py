"""The caller's own account over HTTP."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply, session_call_of
from rest.organizations import CascadeCounts, DeletedWithAll
from rest.views import Change
from server.domain import accounts
from server.domain.people import users
from server.models import User
from server.runtime import State


class UserView(BaseModel):
    id: str
    user_id: str
    email: str | None
    name: str
    email_verified: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.id,
            user_id=user.id,
            email=user.email,
            name=user.name,
            email_verified=user.email_verified_at is not None,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )


class NewPersonName(Change):
    name: str


async def me(request: Request[State]) -> Response:
    """Read the user to whom this credential belongs."""
    call = await call_of(request)
    return reply(UserView.of(await call.read(users.me)))


async def rename_me(request: Request[State]) -> Response:
    """Change your name."""
    call = await session_call_of(request)
    new = await read(request, NewPersonName)
    return reply(UserView.of(await call.run(users.rename, new.name)))


async def delete_me(request: Request[State]) -> Response:
    """Delete your account and personal organization. This cannot be undone."""
    call = await session_call_of(request)
    counts = await call.run(accounts.delete)
    return reply(DeletedWithAll(message="Account deleted successfully", cascades=CascadeCounts.of(counts)))
