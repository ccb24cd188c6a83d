"""The endpoints that clients call: token, registration, revocation, introspection."""

from collections.abc import Callable

import sqlalchemy as sa
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oauth import registration
from oauth.authorization_server import Answer, AuthorizationServer
from oauth.errors import response_of
from oauth.requests import UNKNOWN_CLIENT, ClientRefused, FlowRequest, client_credentials, read_form, require_single
from server.buckets import Bucket
from server.domain.grants import clients, tokens
from server.domain.grants.clients import GRANT_TYPES, Description
from server.models import OAuthClient
from server.shell.runtime import Runtime, State
from server.web.request_credentials import address_of
from server.web.wire import read_body, require_json

BODY_LIMIT = 64_000
GUESS_ERRORS = frozenset({"invalid_client", "invalid_grant"})
"""The error codes that may answer a guess at a secret, code or token. The rate limit counts them."""

ADDRESS_TIMES = 10
"""How many failures one address may have, as a multiple of what one known client at that address may have."""

Decide = Callable[[AuthorizationServer, FlowRequest], Answer]


async def token(request: Request[State]) -> Response:
    """Exchange a code or a refresh token (OAuth 2.1 section 3.2)."""
    return await _respond(request, _exchange)


async def revoke(request: Request[State]) -> Response:
    """Revoke a token (RFC 7009)."""
    return await _respond(request, lambda server, flow: server.create_endpoint_response("revocation", flow))


async def introspect(request: Request[State]) -> Response:
    """Say whether an access token of the client is active (RFC 7662)."""
    return await _respond(request, lambda server, flow: server.create_endpoint_response("introspection", flow))


async def register(request: Request[State]) -> Response:
    """Register a client (RFC 7591). The same public client from the same address gets the same answer again."""
    runtime, address = request.state["runtime"], address_of(request)
    require_json(request)
    description = registration.parse_description(await read_body(request, BODY_LIMIT), runtime.settings.public_url)
    client, secret = await _register(runtime, description, address)
    return JSONResponse(registration.response_body(client, secret), 201)


def _exchange(server: AuthorizationServer, flow: FlowRequest) -> Answer:
    if flow.payload.grant_type is None:
        raise InvalidRequestError("The grant_type is missing.")
    if flow.payload.grant_type not in GRANT_TYPES:
        supported = " or ".join(GRANT_TYPES)
        raise OAuth2Error(f"The grant_type must be {supported}.", error="unsupported_grant_type")
    answer: Answer = server.create_token_response(flow)
    return answer


async def _respond(request: Request[State], decide: Decide) -> Response:
    runtime = request.state["runtime"]
    fields = await read_form(request)
    require_single(fields)
    flow = FlowRequest(request.method, fields, request.headers)
    address = address_of(request)
    client_id = await _known_client_id(runtime, flow, address)
    if refresh_token := flow.form.get("refresh_token"):
        await _count_refresh(runtime, refresh_token)
    answer = await _decide(runtime, decide, flow)
    if answer.body.get("error") in GUESS_ERRORS:
        await runtime.in_thread(_count_guess, runtime, client_id, address)
    return response_of(answer)


async def _known_client_id(runtime: Runtime, flow: FlowRequest, address: str) -> str:
    """Return the client id of the request.

    An unknown client is refused before any other work. It is counted by address alone, so that a new id brings no new
    attempts. Raises ClientRefused, RateLimited.
    """
    try:
        client_id = client_credentials(flow).client_id
        if await runtime.read(clients.find, client_id) is None:
            raise ClientRefused(UNKNOWN_CLIENT, by_header="authorization" in flow.headers)
    except ClientRefused:
        await runtime.in_thread(runtime.limits.hit, Bucket.TOKEN_FAILURE, "unknown", address)
        raise
    return client_id


async def _count_refresh(runtime: Runtime, refresh_token: str) -> None:
    """Count the refresh against a limit that all tokens of the grant share. Raises RateLimited."""
    grant_id = await runtime.read(tokens.grant_id_of, refresh_token)
    if grant_id is not None:
        await runtime.in_thread(runtime.limits.hit, Bucket.REQUEST, "grant", grant_id)


def _count_guess(runtime: Runtime, client_id: str, address: str) -> None:
    """Count a refusal of what may be a guess. Raises RateLimited after too many."""
    runtime.limits.hit(Bucket.TOKEN_FAILURE, "known", client_id, address)
    runtime.limits.hit(Bucket.TOKEN_FAILURE, "address", address, times=ADDRESS_TIMES)


async def _decide(runtime: Runtime, decide: Decide, flow: FlowRequest) -> Answer:
    """Let Authlib decide in one transaction. Refusals are committed too: tokens that a replayed code revokes must stay
    revoked.
    """

    def decision(session: Session) -> Answer:
        return decide(AuthorizationServer(runtime.settings, session), flow)

    try:
        return await runtime.run(decision)
    except sa.exc.IntegrityError:  # another request deleted the grant that the new token belongs to
        return Answer(*InvalidGrantError("The grant has ended.")())


async def _register(runtime: Runtime, description: Description, address: str) -> tuple[OAuthClient, str | None]:
    """Return the client with its secret. Only a new client counts against the limit. Raises RateLimited."""
    registration_hash = await runtime.in_thread(registration.hash_of, runtime.settings, address, description)
    client = await _registered(runtime, registration_hash)
    if client is not None:
        return client, None
    await runtime.in_thread(runtime.limits.hit, Bucket.REGISTRATION, address)
    try:
        return await runtime.run(clients.register, description, registration_hash)
    except sa.exc.IntegrityError:  # another request registered the same client first
        client = await _registered(runtime, registration_hash)
        if client is None:
            raise
        return client, None


async def _registered(runtime: Runtime, registration_hash: str | None) -> OAuthClient | None:
    """Return the client from the earlier registration, and postpone its removal."""
    if registration_hash is None:
        return None
    client = await runtime.read(clients.find_registration, registration_hash)
    if client is not None and clients.is_due_for_renewal(client):
        await runtime.run(clients.renew, client.id)
    return client
