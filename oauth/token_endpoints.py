"""The endpoints that clients call: token, registration, revocation, introspection."""

from collections.abc import Callable

import sqlalchemy as sa
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oauth import registration
from oauth.authorization_server import Answer, AuthorizationServer
from oauth.errors import response_of
from oauth.requests import FlowRequest, read_form, require_single
from server.buckets import Bucket
from server.domain.grants import clients
from server.request_credentials import address_of
from server.runtime import State, translating_outages
from server.wire import read_body, require_json

BODY_LIMIT = 64_000
NO_STORE = {"Cache-Control": "no-store"}
# What may be somebody guessing.
GUESSES = frozenset({"invalid_client", "invalid_grant"})


async def token(request: Request[State]) -> Response:
    """Exchange a code or a refresh token (OAuth 2.1 section 3.2)."""

    def decide(server: AuthorizationServer, flow: FlowRequest) -> Answer:
        if flow.payload.grant_type is None:
            raise InvalidRequestError("The grant_type is missing.")
        answer: Answer = server.create_token_response(flow)
        return answer

    return await _decided(request, decide)


async def revoke(request: Request[State]) -> Response:
    """End a token (RFC 7009)."""
    return await _decided(request, lambda server, flow: server.create_endpoint_response("revocation", flow))


async def introspect(request: Request[State]) -> Response:
    """Say whether a client's own access token counts (RFC 7662)."""
    return await _decided(request, lambda server, flow: server.create_endpoint_response("introspection", flow))


async def register(request: Request[State]) -> Response:
    """Make a client known (RFC 7591)."""
    runtime = request.state["runtime"]
    await runtime.in_thread(runtime.limits.hit, Bucket.REGISTRATION, address_of(request))
    require_json(request)
    described = registration.described(await read_body(request, BODY_LIMIT))
    client, secret = await runtime.run(clients.register, described)
    return JSONResponse(registration.registered(client, secret), 201, NO_STORE)


async def _decided(request: Request[State], decide: Callable[[AuthorizationServer, FlowRequest], Answer]) -> Response:
    """Let Authlib decide in one transaction, which is committed whatever it decides; count what may be guesses."""
    runtime = request.state["runtime"]
    fields = await read_form(request)
    require_single(fields)
    flow = FlowRequest(runtime.settings, request.method, fields, request.headers)

    def work() -> Answer:
        try:
            with translating_outages(), runtime.database.write() as session:
                answer = decide(AuthorizationServer(runtime.settings, session), flow)
        except sa.exc.IntegrityError:  # what the token would hang on was deleted at the same moment
            answer = Answer(*InvalidGrantError("The grant has ended.")())
        if answer.body.get("error") in GUESSES:
            runtime.limits.hit(Bucket.TOKEN_FAILURE, flow.payload.client_id or "", address_of(request))
        return answer

    return response_of(await runtime.in_thread(work))
