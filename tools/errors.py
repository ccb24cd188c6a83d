"""Turns a failure into one sentence that a model can act on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS

from server.errors import Invalid, MaybeStored, NotFound, ServiceError
from server.logs import request_id
from server.web.statuses import log_reason

log = logging.getLogger(__name__)

MAYBE_STORED = (
    "The database did not confirm this: it may have been stored. Adding the same text again is safe: it is stored "
    "only once. Before you repeat any other change, check with fetch or list_memories whether it took effect."
)
NOT_FOUND = "There is no memory with this id. Use an id from the results of search or list_memories."


def sentence(error: Exception) -> str:
    """Return the message for a failure. For a crash, it reveals only the request id."""
    if isinstance(error, NotFound):
        return NOT_FOUND
    if isinstance(error, ServiceError):
        log_reason(error)
        return MAYBE_STORED if isinstance(error, MaybeStored) else error.detail
    log.error("crash", exc_info=error)
    return f"Something went wrong. If you report this, include the request id {request_id.get()}."


@contextmanager
def protocol_errors(data: object = None) -> Iterator[None]:
    """Raise a service error as MCPError, for methods whose results cannot carry an error message."""
    try:
        yield
    except ServiceError as error:
        code = INVALID_PARAMS if isinstance(error, NotFound | Invalid) else INTERNAL_ERROR
        raise MCPError(code, sentence(error), data) from None
