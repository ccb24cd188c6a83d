"""The app's lifespan run in a task of its own, as a server does it: what it opens must be closed by the same task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@contextlib.asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[ASGIApp]:
    """The app between its startup and its shutdown, every request with the lifespan's state."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    state: dict[str, object] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))

    async def phase(name: str) -> None:
        await to_app.put({"type": f"lifespan.{name}"})
        answer = asyncio.create_task(from_app.get())
        await asyncio.wait({task, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await task
        message = await answer
        assert message["type"] == f"lifespan.{name}.complete", message.get("message")

    async def stated(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    await phase("startup")
    try:
        yield stated
    finally:
        await phase("shutdown")
        await task
