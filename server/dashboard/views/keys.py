"""API keys of a project: make one, which is shown this once, see when each was used last, revoke."""

from starlette.responses import Response

from server.dashboard.pages import PageRequest, go
from server.dashboard.pagination import part_of
from server.domain.people import users
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.errors import Invalid

EXPIRIES = {"": "Never", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}


async def show(visit: PageRequest, made: str | None = None) -> Response:
    """The keys; `made` is a new one in full."""
    project_id = visit.path("project_id")
    keys = part_of(visit, await visit.call.read(api_keys.list_keys, project_id))
    makers = await visit.call.read(users.names_of, {key.created_by for key in keys.rows})
    return await visit.page("keys.html", project_id, keys=keys, makers=makers, made=made, expiries=EXPIRIES)


async def create(visit: PageRequest) -> Response:
    """The answer itself shows the key: it is stored nowhere, so no other page could."""
    permissions = {"read": ["read"], "write": ["read", "write"]}.get(visit.text("permission"), [])
    expires = visit.text("expires_in_days")
    if expires not in EXPIRIES:
        raise Invalid("Choose one of the list.", field="Expires")
    new = NewKey(visit.text("name"), permissions, int(expires) if expires else None)
    _, made = await visit.call.run(api_keys.create, visit.path("project_id"), new)
    return await show(visit, made)


async def revoke(visit: PageRequest) -> Response:
    await visit.call.run(api_keys.delete, visit.path("project_id"), visit.path("key_id"))
    return go(f"{visit.project_path}/keys", "key-revoked")
