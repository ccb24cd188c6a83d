"""What people see when no page answered: nothing there, not allowed, or a bug."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response

from server import csp
from server.dashboard.pages import refusal
from server.dashboard.rendering import render
from server.errors import NotFound, ServiceError
from server.logs import request_id
from server.runtime import State

# Everything else is for people.
FOR_PROGRAMS = ("/api", "/v1", "/mcp", "/oauth", "/.well-known", "/health", "/metrics", "/openapi.json", "/docs")


def is_for_people(connection: HTTPConnection[State]) -> bool:
    """A path that nothing serves is for whoever asks: only browsers say that they take HTML."""
    path: str = connection.scope["path"]
    if any(path == prefix or path.startswith(f"{prefix}/") for prefix in FOR_PROGRAMS):
        return False
    return "endpoint" in connection.scope or "text/html" in connection.headers.get("accept", "")


async def answer_failure(request: Request[State], error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101 - registered for this class
    return await refusal(request, error)


async def answer_http(request: Request[State], error: Exception) -> Response:
    """What routing itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == 404:
        return await refusal(request, NotFound())
    return _problem(error.status_code, error.detail, error.headers)


def crashed() -> Response:
    """A bug: the id to quote."""
    return _problem(500, f"Something went wrong here; quote request id {request_id.get()}.")


def _problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    context = {"problem": sentence, "status": status, "frame": None, "here": None, "done": None}
    return HTMLResponse(
        render("problem.html", context), status, {"Content-Security-Policy": csp.DASHBOARD, **(headers or {})}
    )
