"""Turns our errors and Authlib's into the JSON that clients read (RFC 6749 section 5.2)."""

from authlib.oauth2.base import OAuth2Error
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oauth.authorization_server import Answer
from server import errors
from server.shell.runtime import State
from server.web.dispatch import Methods
from server.web.statuses import answered

CODES = {401: "invalid_client", 429: "slow_down", 503: "temporarily_unavailable"}
"""The error code for a status; any other status gets `invalid_request`."""


class ForPrograms(Methods):
    """An endpoint that clients call. Every failure becomes `{"error", "error_description"}`."""

    async def answer(self, request: Request[State]) -> Response:
        if request.method == "OPTIONS":
            return options(self)
        try:
            return await super().answer(request)
        except HTTPException as error:
            body = {"error": "invalid_request", "error_description": f"Use {self.allow}."}
            return JSONResponse(body, error.status_code, error.headers)
        except OAuth2Error as error:
            return response_of(Answer(*error()))
        except errors.ServiceError as error:
            return failure(error)


def options(endpoint: Methods) -> Response:
    """Answer OPTIONS with the endpoint's methods (RFC 9110 section 9.3.7). `server.web.cors` answers preflights."""
    return Response(status_code=204, headers={"Allow": f"{endpoint.allow}, OPTIONS"})


def failure(error: errors.ServiceError) -> Response:
    status, headers = answered(error)
    body = {"error": CODES.get(status, "invalid_request"), "error_description": error.detail}
    return JSONResponse(body, status, headers)


def response_of(answer: Answer) -> Response:
    response = JSONResponse(answer.body, answer.status)
    response.headers.update(dict(answer.headers))
    return response
