"""From the error tree and Authlib's errors to what clients read (RFC 6749 section 5.2) and to pages for people."""

import logging
from collections.abc import Awaitable, Callable

from authlib.oauth2.base import OAuth2Error
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from oauth.authorization_server import Answer
from server import errors
from server.runtime import State
from server.statuses import retry_after, status_of

log = logging.getLogger(__name__)

Handler = Callable[[Request[State]], Awaitable[Response]]

CODES = {401: "invalid_client", 429: "slow_down", 503: "temporarily_unavailable"}


class ForPrograms:
    """One method at one path for clients: every failure is `{"error", "error_description"}`."""

    def __init__(self, handler: Handler, method: str = "POST") -> None:
        self.handler = handler
        self.method = method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request[State]) -> Response:
        if request.method != self.method:
            body = {"error": "invalid_request", "error_description": f"Use {self.method}."}
            return JSONResponse(body, 405, {"Allow": self.method})
        try:
            return await self.handler(request)
        except OAuth2Error as error:
            return response_of(Answer(*error()))
        except errors.ServiceError as error:
            return failure(error)


def failure(error: errors.ServiceError) -> Response:
    if isinstance(error, errors.Unavailable):
        log.warning("unavailable", exc_info=error.__cause__)
    status = status_of(error)
    body = {"error": CODES.get(status, "invalid_request"), "error_description": error.detail}
    return JSONResponse(body, status, retry_after(error))


def response_of(answer: Answer) -> Response:
    response = JSONResponse(answer.body, answer.status)
    response.headers.update(dict(answer.headers))
    return response
