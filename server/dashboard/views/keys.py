"""API keys of a project: list, create, rename, replace, revoke."""

from starlette.responses import Response

from server.dashboard.pages import PageRequest, redirect
from server.dashboard.pagination import back_to, paginate
from server.dashboard.shown_once import show_once
from server.domain.memory.pages import assistants
from server.domain.memory.pages.assistants import Uses
from server.domain.people import users
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.errors import Invalid

EXPIRATIONS = {"": "Never", "30": "In 30 days", "90": "In 90 days", "365": "In 1 year"}
"""The choices of the form, by days."""


async def show(request: PageRequest) -> Response:
    keys = paginate(request, await request.call.read(api_keys.list_keys, request.project_id))
    creators = await request.call.read(users.names_of, {key.created_by for key in keys.rows})
    days = request.call.runtime.settings.activity_days
    return await request.render(
        "keys.html",
        request.project_id,
        keys=keys,
        creators=creators,
        uses=await _uses(request, days),
        days=days,
        expirations=EXPIRATIONS,
    )


async def create(request: PageRequest) -> Response:
    """Show the key once. Only its hash is stored, so no later page can show the key."""
    permissions = {"read": ["read"], "write": ["read", "write"]}.get(request.text("permission"), [])
    expires_in_days = request.text("expires_in_days")
    if expires_in_days not in EXPIRATIONS:
        raise Invalid("choose one of the options.", field="Expires")
    new = NewKey(request.text("name"), permissions, int(expires_in_days) if expires_in_days else None)
    _, key = await request.call.run(api_keys.create, request.project_id, new)
    return show_once(request.call, f"{request.project_path}/keys", key=key)


async def rename(request: PageRequest) -> Response:
    await request.call.run(api_keys.rename, request.project_id, request.path_param("key_id"), request.text("name"))
    return redirect(back_to(request, f"{request.project_path}/keys"), "key-renamed")


async def replace(request: PageRequest) -> Response:
    """Show the new key as `create` does."""
    _, key = await request.call.run(api_keys.replace, request.project_id, request.path_param("key_id"))
    return show_once(request.call, f"{request.project_path}/keys", back_to(request, ""), key=key)


async def revoke(request: PageRequest) -> Response:
    await request.call.run(api_keys.delete, request.project_id, request.path_param("key_id"))
    return redirect(back_to(request, f"{request.project_path}/keys"), "key-revoked")


async def _uses(request: PageRequest, days: int) -> Uses:
    """Return what the project's credentials did, including what the process has not stored yet."""
    if not days:
        return Uses({})
    await request.call.runtime.in_thread(request.call.runtime.activity.flush)
    return await request.call.read(assistants.count_uses, request.project_id, days)
