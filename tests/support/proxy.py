"""A proxy in front of the app that can misbehave like real ones."""

from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Answer = Callable[[str, str, Headers], Response | None]
"""Returns the proxy's own answer to method, path and headers, or None to pass the request on."""


class Proxy:
    """Passes requests on to `app` unless `answer` answers them. Changes headers of requests and answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.answer: Answer = lambda _method, _path, _headers: None
        self.sends: Mapping[str, str] = {}
        """Headers of the request that the proxy sets; "" removes one."""

        self.adds: Mapping[str, str] = {}
        """Headers that the proxy adds to the answer."""

        self.removes: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = self.answer(scope["method"], scope["path"], Headers(scope=scope))
        if own is not None:
            await own(scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name.decode() not in self.sends]
        sent = [(name.encode(), value.encode()) for name, value in self.sends.items() if value]

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in self.removes:
                    del headers[name]
                for name, value in self.adds.items():
                    headers.append(name, value)
            await send(message)

        await self.app({**scope, "headers": [*kept, *sent]}, receive, changed)
