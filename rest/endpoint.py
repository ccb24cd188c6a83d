"""Endpoint: one method at one path, with its handler and its contract for the OpenAPI document."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.shell.runtime import State
from server.web.dispatch import Handler, Methods, without_head
from server.web.middleware import PROBES
from server.web.request_credentials import presents_credential


class Reach(Enum):
    """Who may call an endpoint. `rest.http.call_of` checks it."""

    ANYBODY = auto()
    CREDENTIAL = auto()
    SESSION = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table in `rest.routes`. The OpenAPI entry is made from it and from the handler's docstring.

    `public_name` is the operationId of an endpoint whose module or handler once had another name.
    `may_be_empty` is for a body that may be left out.
    `reads_body` is for a deletion whose handler reads a body. The others refuse a body with fields.
    `failures` adds the statuses that the other fields do not imply: a credential implies 404.
    """

    method: str
    path: str
    handler: Handler
    answer: type[BaseModel] | type[str]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    reach: Reach = Reach.CREDENTIAL
    failures: tuple[int, ...] = ()
    is_idempotent: bool = False
    media: str = "application/json"
    reads_body: bool = False
    may_be_empty: bool = False
    public_name: str = ""

    @property
    def name(self) -> str:
        """The operationId."""
        return self.public_name or f"{self.handler.__module__.rpartition('.')[2]}_{self.handler.__name__}"

    @property
    def takes_nothing(self) -> bool:
        """Whether this is a DELETE or PUT that takes no body. A body with fields is refused."""
        return self.body is None and not self.reads_body and self.method in ("DELETE", "PUT")


class Resource(Methods):
    """All methods of one path. OPTIONS lists them in Allow."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = {endpoint.method: endpoint for endpoint in endpoints}
        super().__init__(
            {method: endpoint.handler for method, endpoint in self.endpoints.items()} | {"OPTIONS": self.options}
        )

    async def answer(self, request: Request[State]) -> Response:
        """Raises RateLimited. Open endpoints ignore credentials, so an invalid one must not bypass the limit."""
        endpoint = self.endpoints.get(without_head(request.method))
        is_counted = endpoint and endpoint.reach is Reach.ANYBODY and endpoint.path not in PROBES
        if is_counted and presents_credential(request):
            await request.state["runtime"].count_request()
        return await super().answer(request)

    async def options(self, _request: Request[State]) -> Response:
        return Response(status_code=204, headers={"Allow": self.allow})


def endpoint_of(request: Request[State]) -> Endpoint:
    """Return the endpoint whose handler answers the request."""
    resource: Resource = request.scope["endpoint"]
    return resource.endpoints[without_head(request.method)]


def routes(endpoints: Iterable[Endpoint]) -> list[Route]:
    """Return one route for each path. Endpoints of the same path must be neighbors in the table.

    No route has a trailing slash, because requests lose theirs before they are routed.
    """
    by_path = groupby(endpoints, key=lambda endpoint: endpoint.path)
    return [Route(path.removesuffix("/"), Resource(group)) for path, group in by_path]
