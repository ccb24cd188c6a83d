"""Checks an authorization request, briefly before sign-in and fully afterwards, and builds the answer to the client."""

from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa
from sqlmodel import Session

from oauth import client_documents
from oauth.authorization_server import AuthorizationServer
from oauth.client_documents import DocumentUnavailable
from oauth.requests import Fields, FlowRequest, require_one_target
from server.buckets import Bucket
from server.domain.grants import authorizations, clients
from server.domain.grants.authorizations import ConsentRequest, ProjectChoice
from server.errors import RateLimited
from server.models import AuthorizationRequest, OAuthClient, User
from server.principal import Principal, Scope
from server.settings import Settings
from server.shell.runtime import Call

HOST_TIMES = 10
"""The fetch limit for one host, as a multiple of the limit for one person."""


class Consent(NamedTuple):
    """The decision that the consent page asks a person to make."""

    request: AuthorizationRequest
    client: OAuthClient
    scopes: tuple[Scope, ...]
    choices: list[ProjectChoice]
    user: User
    was_read_only: bool


def check_before_sign_in(session: Session, settings: Settings, fields: Fields) -> None:
    """Refuse an unknown client or an unregistered redirect URI before sign-in, without fetching a client's document.

    Raises OAuth2Error, DocumentRefused.
    """
    client_id = fields.get("client_id", [""])[0]
    if client_documents.is_document_url(client_id, settings):
        client_documents.require_well_formed(client_id, any_port=settings.cimd_allow_private)
        require_one_target(fields)
        return
    AuthorizationServer(settings, session).registered_redirect_uri(FlowRequest("GET", fields, {}))


async def refresh_document(call: Call, client_id: str) -> None:
    """Fetch the client's metadata document if it has one and our copy is too old. Raises DocumentRefused, RateLimited.

    Call it for signed-in people only, so that strangers cannot make this server fetch URLs.
    """
    if not client_documents.is_document_url(client_id, call.runtime.settings):
        return
    stored_client = await call.runtime.read(clients.find, client_id)
    if client_documents.is_fresh(stored_client):
        return
    try:
        client_documents.require_well_formed(client_id, any_port=call.runtime.settings.cimd_allow_private)
        await call.runtime.in_thread(_count_fetch, call, client_id)
        fetched = await client_documents.fetch(client_id, call.runtime.settings)
    except (DocumentUnavailable, RateLimited):
        if not client_documents.may_be_stale(stored_client):
            raise
        return
    with suppress(sa.exc.IntegrityError):  # another request has just stored the same document
        await call.runtime.run(clients.keep_document, client_id, fetched.description, fetched.fresh_until)


def prepare_consent(session: Session, principal: Principal, settings: Settings, fields: Fields) -> Consent:
    """Validate the whole request and store it for the principal's decision.

    Raises OAuth2Error: with a `redirect_uri`, send it to the client; without one, show it on a page.
    """
    grant = AuthorizationServer(settings, session).get_consent_grant(FlowRequest("GET", fields, {}))
    client: OAuthClient = grant.client.row
    scopes = tuple(Scope(word) for word in grant.request.scope.split())
    consent_request = ConsentRequest(
        client_id=client.id,
        redirect_uri=grant.redirect_uri,
        scopes=scopes,
        state=grant.request.payload.state,
        code_challenge=grant.request.payload.data["code_challenge"],
    )
    request = authorizations.begin(session, principal, consent_request)
    choices = authorizations.choices(session, principal, scopes)
    was_read_only = authorizations.was_read_only(session, principal, client.id)
    return Consent(request, client, scopes, choices, session.get_one(User, principal.user_id), was_read_only)


def answer_url(settings: Settings, redirect_uri: str, state: str | None, **answer: str) -> str:
    """Return the redirect URI with the answer, the client's state and our issuer (RFC 9207) in its query."""
    parameters = {**answer, **({"state": state} if state else {}), "iss": settings.public_url}
    return redirect_uri + ("&" if "?" in redirect_uri else "?") + urlencode(parameters)


def _count_fetch(call: Call, url: str) -> None:
    """Count a fetch against the limits of its person and of the host. Raises RateLimited."""
    limits = call.runtime.limits
    limits.hit(Bucket.DOCUMENT, "user", call.principal.user_id)
    limits.hit(Bucket.DOCUMENT, "host", urlsplit(url).netloc.lower(), times=HOST_TIMES)
