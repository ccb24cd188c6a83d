"""An endpoint says all there is to know about one method at one path: what serves it, and what a caller may rely on."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.dispatch import Handler, Methods
from server.runtime import State


class Reach(Enum):
    """Who may call."""

    ANYBODY = auto()
    CREDENTIAL = auto()
    SESSION = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table in `rest.routes`. The OpenAPI document is made of it and of the handler's docstring.

    `name` is the operationId. `operation` names the operation of `server.operations` whose rate limit counts the call.
    `failures` are the statuses that do not follow from the rest, as 404 follows from a credential and 429 from a limit.
    """

    name: str
    method: str
    path: str
    handler: Handler
    answer: type[BaseModel] | type[str]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    reach: Reach = Reach.CREDENTIAL
    operation: str | None = None
    failures: tuple[int, ...] = ()
    is_idempotent: bool = False
    media: str = "application/json"


class Resource(Methods):
    """All methods of one path. OPTIONS names them."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = {endpoint.method: endpoint for endpoint in endpoints}
        super().__init__(
            {method: endpoint.handler for method, endpoint in self.endpoints.items()} | {"OPTIONS": self.options}
        )

    async def options(self, _request: Request[State]) -> Response:
        return Response(status_code=204, headers={"Allow": self.allow})


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
