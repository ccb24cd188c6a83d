"""Turn a tool's error into one sentence that a model can act on."""

import logging

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import ValidationError

from server import wire
from server.errors import NotFound, ServiceError, Unavailable
from server.logs import request_id

log = logging.getLogger(__name__)

NOT_FOUND = "There is no memory with this id. Use an id from the results of search or list."


def sentence(error: ToolError) -> str:
    """Return the sentence of a service error, of an invalid argument, or of a crash (only the request id to quote)."""
    cause = error.__cause__
    if isinstance(cause, NotFound):
        return NOT_FOUND
    if isinstance(cause, Unavailable):
        log.warning("unavailable", exc_info=cause.__cause__)
    if isinstance(cause, ServiceError):
        return cause.detail
    if isinstance(cause, ValidationError) and not isinstance(error, UnexpectedToolError):
        return wire.invalid(cause).detail
    log.error("crash", exc_info=cause)
    return f"Something went wrong here; quote request id {request_id.get()}."
