"""API keys over HTTP. Only the answer to `create` holds the key itself."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AliasPath, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply, reply_created
from rest.views import Change, Created, Creation, OfRow
from server.domain.teams import api_keys
from server.domain.teams.api_keys import LONGEST_DAYS, NewKey
from server.shell.runtime import State

Permission = Literal["read", "write"]


class NewApiKey(Creation):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    permissions: list[Permission] = Field(
        default=["read", "write"], min_length=1, max_length=10, description="write implies read"
    )
    expires_in_days: int | None = Field(
        default=None, strict=True, ge=1, le=LONGEST_DAYS, description="never expires by default"
    )


class NewKeyName(Change):
    name: str


class ApiKeyCreated(Created, OfRow):
    api_key: str = Field(description="shown only once")
    prefix: str
    key_prefix: str = Field(validation_alias=AliasPath("prefix"))
    id: str
    api_key_id: str = Field(validation_alias=AliasPath("id"))
    name: str
    permissions: list[Permission]
    expires_at: datetime | None
    created_at: datetime
    message: str = "API key created. Store it now: it cannot be shown again."


class ApiKeyView(OfRow):
    id: str
    name: str
    prefix: str
    permissions: list[Permission]
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


class ApiKeyList(BaseModel):
    api_keys: list[ApiKeyView]
    total: int


class ApiKeyDeleted(BaseModel):
    message: str = "API key deleted successfully"
    id: str


async def create(request: Request[State]) -> Response:
    """Create an API key for a project, with at most the permissions of your role there."""
    call = await call_of(request)
    new = await read(request, NewApiKey)
    new_key = NewKey(new.name, list(new.permissions), new.expires_in_days)
    key, secret = await call.run(api_keys.create, request.path_params["project_id"], new_key)
    return reply_created(ApiKeyCreated.of(key, api_key=secret), new)


async def list_all(request: Request[State]) -> Response:
    """List a project's API keys. A viewer sees only their own."""
    call = await call_of(request)
    keys = await call.read(api_keys.list_keys, request.path_params["project_id"])
    return reply(ApiKeyList(api_keys=[ApiKeyView.of(key) for key in keys], total=len(keys)))


async def rename(request: Request[State]) -> Response:
    """Rename one of your API keys or, as an admin, anyone's."""
    call = await call_of(request)
    new = await read(request, NewKeyName)
    path = request.path_params
    return reply(ApiKeyView.of(await call.run(api_keys.rename, path["project_id"], path["key_id"], new.name)))


async def delete(request: Request[State]) -> Response:
    """Delete an API key. It stops working immediately."""
    call = await call_of(request)
    key = await call.run(api_keys.delete, request.path_params["project_id"], request.path_params["key_id"])
    return reply(ApiKeyDeleted(id=key.id))
