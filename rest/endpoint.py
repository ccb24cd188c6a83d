"""An endpoint says all there is to know about one method at one path: what serves it, and what a caller may rely on."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.limits import Bucket
from server.runtime import State

Handler = Callable[[Request[State]], Awaitable[Response]]


class Reach(Enum):
    """Who may call."""

    ANYBODY = auto()
    CREDENTIAL = auto()
    SESSION = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table in `rest.routes`; the OpenAPI document is derived from it and from the handler's docstring.

    `failures` are the statuses that do not follow from the rest (404 does from a credential, 429 from a bucket …).
    """

    method: str
    path: str
    handler: Handler
    answer: type[BaseModel] | type[str]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    reach: Reach = Reach.CREDENTIAL
    bucket: Bucket | None = None
    failures: tuple[int, ...] = ()
    is_idempotent: bool = False
    media: str = "application/json"


class Resource:
    """All methods of one path: HEAD is GET without the body, OPTIONS names them, any other is 405."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = {endpoint.method: endpoint for endpoint in endpoints}
        methods = {*self.endpoints, "OPTIONS"} | ({"HEAD"} if "GET" in self.endpoints else set())
        self._allow = {"Allow": ", ".join(sorted(methods))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _answer(self, request: Request[State]) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=self._allow)
        endpoint = self.endpoints.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            raise HTTPException(405, headers=self._allow)
        return await endpoint.handler(request)


def routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """One route a path, in the table's order (neighbours of the same path together).

    A path that ends in a slash answers without it too: clients disagree.
    """
    made = []
    for path, group in groupby(endpoints, key=lambda endpoint: endpoint.path):
        resource = Resource(group)
        made.append(Route(path, resource))
        if path.endswith("/") and len(path) > 1:
            made.append(Route(path.rstrip("/"), resource))
    return made
