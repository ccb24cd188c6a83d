"""Tells an open page when memories arrive, by server-sent events.

Each stream is short, and the browser reconnects. So the server can stop quickly, and people who lost access are
refused at the next request.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from starlette.responses import Response

from server import csp
from server.dashboard.pages import PageRequest
from server.dashboard.views.exchange import Download
from server.domain.memory import arrivals
from server.errors import Invalid, ServiceError
from server.models.base import is_id

STREAM_SECONDS = 8
LOOK_EVERY_SECONDS = 2
RETRY_MILLISECONDS = 4_000
MOST_STREAMS = 50
"""Maximum number of open streams per process. Browsers that are refused try again later."""

MOST_PER_PERSON = 3

_open_streams = Counter[str]()


async def stream(request: PageRequest) -> Response:
    """Return the stream of the project, or 503 if too many are open. Raises NotFound, Invalid."""
    after = request.http.query_params.get("after", "")
    await request.call.read(arrivals.since, request.project_id, after)
    if not is_id("mem_", after):
        raise Invalid("must be the id of a memory.", field="after")
    with contextlib.ExitStack() as turn:
        if not turn.enter_context(_place_for(request.call.principal.user_id)):
            return Response(status_code=503, headers={"Retry-After": "30"})
        headers = {"Content-Security-Policy": csp.API, "X-Accel-Buffering": "no"}
        return Download(_events(request, after), turn.pop_all(), headers=headers, media_type="text/event-stream")


@contextlib.contextmanager
def _place_for(user_id: str) -> Iterator[bool]:
    """Yield whether there is room for another stream, and reserve it until the block ends."""
    is_free = _open_streams.total() < MOST_STREAMS and _open_streams[user_id] < MOST_PER_PERSON
    _open_streams[user_id] += is_free
    try:
        yield is_free
    finally:
        _open_streams[user_id] -= is_free
        if not _open_streams[user_id]:
            del _open_streams[user_id]


async def _events(request: PageRequest, after: str) -> AsyncIterator[bytes]:
    """Yield an event whenever the number of new memories changes, until it is time to end the stream."""
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    reported = 0
    for turn in range(STREAM_SECONDS // LOOK_EVERY_SECONDS):
        if turn:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        try:
            arrived = await request.call.read(arrivals.since, request.project_id, after)
        except ServiceError:
            return
        if arrived.memories != reported:
            reported = arrived.memories
            yield f"data: {json.dumps(arrived._asdict())}\n\n".encode()
