"""Connect an assistant: shows the text to paste, with a new API key, and says when the assistant has connected."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from server.assistants.catalog import assistants
from server.assistants.instructions import KEY_PLACEHOLDER, Assistant, Target
from server.dashboard.pages import PageRequest
from server.dashboard.shown_once import show_once
from server.domain.access import Action
from server.domain.grants import connections
from server.domain.grants.connections import Use
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.models import base
from server.network.urls import is_loopback, is_private

WAIT_MINUTES = 60
"""A page that has been open for this long stops asking whether the assistant has connected."""


async def show(request: PageRequest) -> Response:
    """Show the assistant in the URL, or the first one. A new key goes into its text."""
    new_key = request.once.get("key")
    settings = request.call.runtime.settings
    is_local = is_loopback(settings.public_url) or is_private(settings.public_url)
    target = Target(settings.public_url, new_key or KEY_PLACEHOLDER)
    listed = assistants(target, hosted_first=not is_local)
    chosen = _chosen(request, listed)
    opened_at = _opened_at(request)
    uses = await request.call.read(connections.last_uses, request.project_id)
    return await request.render(
        "connect.html",
        request.project_id,
        assistants=listed,
        chosen=chosen,
        is_unreachable=chosen.vendor is not None and is_local,
        reached_from="this computer" if is_loopback(settings.public_url) else "your network",
        new_key=new_key,
        opened_at=opened_at.isoformat(),
        connected=_first_since(opened_at, uses),
        last_use=uses[0] if uses else None,
        status_path=f"{request.project_path}/connect/status?" + urlencode({"since": opened_at.isoformat()}),
    )


async def create_key(request: PageRequest) -> Response:
    """Create a key named after the assistant, and show it in the instructions. No later page can show it again."""
    chosen = _chosen(request, assistants(Target("")))
    project = await request.project()
    permissions = ["read", "write"] if project.may(Action.CREATE_KEY) else ["read"]
    _, key = await request.call.run(api_keys.create, request.project_id, NewKey(chosen.name, permissions))
    query = urlencode({"client": chosen.id, "since": _opened_at(request).isoformat()})
    return show_once(request.call, f"{request.project_path}/connect", f"?{query}", key=key)


async def status(request: PageRequest) -> Response:
    """Tell a waiting page the name of the assistant that has connected since the page was opened, or null."""
    opened_at = _opened_at(request)
    uses = await request.call.read(connections.last_uses, request.project_id, opened_at)
    return JSONResponse({"connected": _first_since(opened_at, uses)}, headers={"Cache-Control": "no-store"})


def _first_since(moment: datetime, uses: Sequence[Use]) -> str | None:
    """Return the name of the first that was used after `moment`, or None. `uses` are sorted, newest first."""
    return next((use.name for use in reversed(uses) if use.used_at > moment), None)


def _chosen(request: PageRequest, listed: list[Assistant]) -> Assistant:
    name = request.text("client") or request.http.query_params.get("client", "")
    return next((assistant for assistant in listed if assistant.id == name), listed[0])


def _opened_at(request: PageRequest) -> datetime:
    """Return when the page was first opened: the time in its URL if that is recent, else now."""
    now = base.now()
    try:
        opened_at = datetime.fromisoformat(request.text("since") or request.http.query_params.get("since", ""))
    except ValueError:
        return now
    if opened_at.tzinfo is None or not now - timedelta(minutes=WAIT_MINUTES) <= opened_at <= now:
        return now
    return opened_at
