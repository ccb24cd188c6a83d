"""Error pages for people: a missing page, a forbidden page, a bug."""

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.pages import refusal
from server.dashboard.rendering import problem_page
from server.errors import NotFound, ServiceError
from server.logs import request_id
from server.network.urls import is_for_programs, is_local_path
from server.shell.runtime import State
from server.web.request_credentials import SAFE_METHODS


def is_for_people(connection: HTTPConnection[State]) -> bool:
    """Return whether to show an error as a page. An unknown path gets a page if the client accepts HTML."""
    return accepts_page(connection) or ("endpoint" in connection.scope and not _is_for_programs(connection))


def accepts_page(connection: HTTPConnection[State]) -> bool:
    """Return whether the client accepts HTML, outside of the paths that only programs call."""
    return "text/html" in connection.headers.get("accept", "") and not _is_for_programs(connection)


def _is_for_programs(connection: HTTPConnection[State]) -> bool:
    return is_for_programs(connection.scope["path"])


async def answer_http(request: Request[State], error: HTTPException) -> Response:
    """Return the page for a routing error: an unknown path or method."""
    if error.status_code == 404:
        without_slash = request.url.path.rstrip("/")
        if without_slash != request.url.path and is_local_path(without_slash) and request.method in SAFE_METHODS:
            return RedirectResponse(f"{without_slash}?{request.url.query}".rstrip("?"), 303)
        return await refusal(request, NotFound())
    return problem_page(error.status_code, ServiceError(error.detail), error.headers)


def crashed() -> Response:
    """Return the page for a bug, with the id of the request."""
    detail = f"Something went wrong. If you report this, include the request ID {request_id.get()}."
    return problem_page(500, ServiceError(detail))
