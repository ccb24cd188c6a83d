"""Turns errors into HTTP answers of one shape: `{"detail": "<one sentence>"}`."""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server import errors
from server.logs import request_id
from server.network.urls import is_for_programs
from server.shell.runtime import State
from server.web.statuses import answered, challenge

log = logging.getLogger(__name__)


async def answer_failure(request: Request[State], error: errors.ServiceError) -> Response:
    status, headers = answered(error)
    if value := challenge(request.state["runtime"].settings, error):
        headers["WWW-Authenticate"] = value
    return JSONResponse({"detail": error.detail}, status, headers)


async def answer_http(request: Request[State], error: HTTPException) -> Response:
    """Answer a request that the router refuses: an unknown path or method."""
    detail = errors.NotFound.sentence if error.status_code == 404 else error.detail
    path = request.scope["path"]
    if path.startswith("/mcp/") or not is_for_programs(path):  # people often forget /mcp, or add to it
        detail = f"{detail.removesuffix('.')}. MCP clients connect to {request.state['runtime'].settings.resource}."
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def answer_crash(error: Exception) -> Response:
    """Answer a bug: log the traceback, and give the caller the request id to quote."""
    log.error("crash", exc_info=error)
    detail = f"Something went wrong. If you report this, include the request id {request_id.get()}."
    return JSONResponse({"detail": detail}, 500)
