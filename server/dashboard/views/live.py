"""Tells an open page when memories arrive, by server-sent events.

Each stream is short, and the browser reconnects. A stream ends when the session ends, the person loses access, or the
server stops.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from sqlmodel import Session
from starlette.responses import Response

from server.dashboard.pages import PageRequest
from server.dashboard.views.exchange import Download
from server.domain.credentials import require_kept
from server.domain.memory.pages import arrivals
from server.domain.memory.pages.arrivals import Arrivals
from server.errors import Invalid, ServiceError
from server.models.base import is_id
from server.principal import Principal
from server.web import csp, streams

STREAM_SECONDS = 8
LOOK_EVERY_SECONDS = 2
RETRY_MILLISECONDS = 4_000


async def stream(request: PageRequest) -> Response:
    """Return the stream of the project, or 503 if too many are open. Raises NotFound, Invalid."""
    after = request.http.query_params.get("after", "")
    await request.call.read(arrivals.since, request.project_id, after)
    if not is_id("mem_", after):
        raise Invalid("must be the id of a memory.", field="after")
    with contextlib.ExitStack() as turn:
        ended = turn.enter_context(streams.opened(request.call.principal.user_id))
        if ended is None:
            return Response(status_code=503, headers={"Retry-After": "30"})
        headers = {"Content-Security-Policy": csp.API, "X-Accel-Buffering": "no"}
        content = _events(request, after, ended)
        return Download(content, turn.pop_all(), headers=headers, media_type="text/event-stream")


async def _events(request: PageRequest, after: str, ended: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield an event whenever the number of new memories changes, until it is time to end the stream."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    reported = 0
    for turn in range(STREAM_SECONDS // LOOK_EVERY_SECONDS):
        if turn:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), LOOK_EVERY_SECONDS)
        if ended.is_set():
            return
        try:
            arrived = await request.call.read(_arrived, request.project_id, after)
        except ServiceError:
            return
        if arrived.memories != reported:
            reported = arrived.memories
            yield f"data: {json.dumps(arrived._asdict())}\n\n".encode()


def _arrived(session: Session, principal: Principal, project_id: str, after: str) -> Arrivals:
    """Raises CredentialEnded, and the errors of `arrivals.since`."""
    require_kept(session, principal)
    return arrivals.since(session, principal, project_id, after)
