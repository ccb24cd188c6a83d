"""The dispatcher that every door uses: one path, with one handler per method."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.shell.runtime import State

Handler = Callable[[Request[State]], Awaitable[Response]]


class Methods:
    """An ASGI endpoint that picks the handler by method. HEAD runs the GET handler (RFC 9110 section 9.3.2).

    Doors override `answer` to turn failures into their own form.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = handlers
        self.allow = ", ".join(sorted({*handlers, "HEAD"} if "GET" in handlers else handlers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def answer(self, request: Request[State]) -> Response:
        """Run the method's handler. Raises HTTPException 405 with an Allow header when there is none."""
        handler = self.handlers.get(without_head(request.method))
        if handler is None:
            raise not_allowed(self.allow)
        return await handler(request)


def without_head(method: str) -> str:
    return "GET" if method == "HEAD" else method


def not_allowed(allow: str) -> HTTPException:
    """Return the refusal of a method. `allow` is the Allow header, such as "GET, HEAD"."""
    return HTTPException(405, f"This method is not allowed here. Use one of {allow}.", {"Allow": allow})
