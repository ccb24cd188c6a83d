"""Mutation tests: switch each rule off, one at a time, and require that its test fails."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

import rest.errors
from oauth import authorization, client_documents, grants, pages, registration, token_endpoints
from oauth.client_documents import Address, Fetched
from oauth.clients import Client
from oauth.grants import CodeGrant, PresentedRefreshToken, ProofKey
from oauth.requests import FlowRequest
from server.adapters import limits
from server.domain import access, audit, client_names, credentials
from server.domain.grants import (
    authorizations,
    clients,
    connections,
    redirect_uris,
    refusals,
    retention,
    tokens,
)
from server.domain.grants.clients import Description
from server.hashing import token_hash
from server.models import AuthorizationCode, AuthorizationRequest, OAuthClient, Project, ProjectRole, RefreshToken
from server.models.base import now
from server.principal import CredentialKind, Principal
from server.web import cors, middleware
from tests.support.controls import Control, assert_noticed, no, nothing, yes
from tools import gate

HERE = Path(__file__).parent
Read = Callable[[httpx.AsyncClient, str, Address, str], Awaitable[Fetched]]


async def following(
    http: httpx.AsyncClient, url: str, address: Address, public_url: str, read: Read = client_documents._read
) -> Fetched:
    http.follow_redirects = True
    return await read(http, url, address, public_url)


def believing(
    _url: str,
    body: bytes,
    public_url: str,
    checked: Callable[[str, bytes, str], object] = client_documents.validated_description,
) -> object:
    return checked(json.loads(body)["client_id"], body, public_url)


def without_risks(_redirect_uri: str) -> dict[str, object]:
    return {"is_local": False, "app_scheme": None, "is_plain": False}


def always_local(redirect_uri: str) -> dict[str, object]:
    return without_risks(redirect_uri) | {"is_local": True}


def unused_again(_session: object, code: AuthorizationCode) -> bool:
    code.used_at = None
    return True


def of_any_session(session: Session, _principal: object, request_id: str) -> AuthorizationRequest:
    return session.get_one(AuthorizationRequest, request_id)


def anonymous(*_args: object, answer_url: Callable[..., str] = authorization.answer_url, **answer: str) -> str:
    return answer_url(*_args, **answer).partition("&iss=")[0]


def any_project(session: Session, _principal: object, project_id: str, _action: object) -> tuple[Project, ProjectRole]:
    return session.get_one(Project, project_id), ProjectRole.ADMIN


def any_code(session: Session, code: str, _client_id: str) -> AuthorizationCode | None:
    return session.get(AuthorizationCode, token_hash(code))


def unbound(user_id: str, kind: CredentialKind, credential_id: str, *_more: object, **_named: object) -> Principal:
    return Principal(user_id, kind, credential_id)


async def named_client(_runtime: object, flow: FlowRequest, _address: str) -> str:
    return flow.form.get("client_id", "")


def evicting(session: Session, grant_id: str) -> None:
    """Keep the newest 64 tokens, however alive the others are."""
    newest = sa.select(col(RefreshToken.token_hash)).where(col(RefreshToken.grant_id) == grant_id)
    others = session.execute(newest.order_by(col(RefreshToken.created_at).desc()).offset(64)).scalars().all()
    session.execute(sa.delete(RefreshToken).where(col(RefreshToken.token_hash).in_(others)))


CONTROLS = (
    Control("which redirect URIs may be named", redirect_uris, "is_allowed", yes, "registration::test_013_a_redirect"),
    Control("checked early", authorization, "check_before_sign_in", nothing, "authorization::test_036_an_unknown"),
    Control("limits", limits.Limits, "hit", nothing, "registration::test_017"),
    Control("names are cleaned", pages, "shown_name", lambda client: client.name, "registration::test_018"),
    Control("unused clients are deleted", retention, "remove_expired", nothing, "registration::test_021"),
    Control("a document's URL", client_documents, "validated_description", believing, "client_documents::test_023"),
    Control("a client's URL", client_documents, "require_well_formed", nothing, "client_documents::test_024"),
    Control("private addresses", client_documents, "is_public", yes, "client_documents::test_025_addresses"),
    Control("no redirects", client_documents, "_read", following, "client_documents::test_026"),
    Control("a document's size", client_documents, "MAX_BYTES", 10**6, "client_documents::test_027_a_document"),
    Control("documents without secrets", client_documents, "_is_public_client", yes, "client_documents::test_028"),
    Control("documents are kept", client_documents, "is_fresh", no, "document_keeping::test_030_a_good"),
    Control("an old copy stands in", client_documents, "may_be_stale", no, "document_keeping::test_an_outage"),
    Control("registered redirect URIs only", Client, "check_redirect_uri", yes, "redirect_uris::test_037_038"),
    Control("loopback except for the port", redirect_uris, "matches", yes, "redirect_uris::test_039"),
    Control("any port of loopback", redirect_uris, "matches", lambda a, b: a == b, "registration::test_c06"),
    Control("a challenge is required", ProofKey, "validate_code_challenge", nothing, "authorization::test_040"),
    Control("S256 only", ProofKey, "validate_code_challenge", nothing, "authorization::test_040"),
    Control("our resource only", grants, "require_own_resource", nothing, "authorization::test_040"),
    Control("no request objects", grants, "_require_plain", nothing, "authorization::test_040"),
    Control("every parameter once", grants, "require_single", nothing, "authorization::test_042_043"),
    Control("the issuer in every answer", authorization, "answer_url", anonymous, "authorization::test_044"),
    Control("our own form", pages, "require_own_form", nothing, "pages::test_054_a_form_without"),
    Control("no form of another site", pages, "require_own_form", nothing, "pages::test_054_a_form_of_another"),
    Control("bound to a session", authorizations, "_open", of_any_session, "pages::test_055_the_rule"),
    Control("for people only", Principal, "is_session", True, "pages::test_055_a_key"),
    Control("projects within reach", authorizations, "require_project_role", any_project, "pages::test_057_only"),
    Control("no more than the role", access, "grantable", lambda _, all: list(all), "pages::test_057_a_v"),
    Control("the verifier is checked", ProofKey, "validate_code_verifier", nothing, "token_endpoint::test_067_the"),
    Control("codes end", tokens, "now", lambda: now().replace(year=2020), "token_endpoint::test_071_107"),
    Control("a code for its client only", tokens, "find_code", any_code, "token_endpoint::test_071_a_code"),
    Control("a code's redirect URI", CodeGrant, "names_other_uri", no, "token_endpoint::test_071_a_code"),
    Control("a code once", tokens, "_lock", unused_again, "parallel::test_068"),
    Control("a second use ends the first", tokens, "_end_replayed", nothing, "token_endpoint::test_069"),
    Control("secrets are checked", clients, "secret_matches", yes, "token_endpoint::test_073_074_a_confidential"),
    Control("failures are limited", limits.Limits, "hit", nothing, "token_endpoint::test_078"),
    Control("a copy ends the family", tokens, "_end_family", nothing, "refresh::test_081"),
    Control("a family within bounds", tokens, "_prune", nothing, "refresh::test_082_a_family_stays"),
    Control("for its client only", PresentedRefreshToken, "check_client", yes, "refresh::test_083"),
    Control("no more than granted", PresentedRefreshToken, "get_scope", lambda _: "memories:read memories:write admin",
            "refresh::test_084"),
    Control("a role is needed to refresh", access, "role_in", lambda *_: ProjectRole.ADMIN, "refresh::test_085_what"),
    Control("revocation", tokens, "revoke", nothing, "revocation::test_088_a_refresh"),
    Control("disconnecting", connections, "disconnect", nothing, "revocation::test_092_people"),
    Control("tokens expire", credentials, "now", lambda: now().replace(year=2020), "resource_server::test_095"),
    Control("scopes of tools", gate, "require_scopes", nothing, "resource_server::test_093_097"),
    Control("where requests come from", gate, "require_known_source", nothing, "resource_server::test_098"),
    Control("one project only", credentials, "Principal", unbound, "resource_server::test_096"),
    Control("the challenge", rest.errors, "challenge", lambda *_: "Bearer", "resource_server::test_093_a_challenge"),
    Control("no framing or caching", middleware, "SECURITY_HEADERS", dict.fromkeys(middleware.SECURITY_HEADERS, ""),
            "pages::test_053"),
    Control("no CORS for pages", cors, "is_shared", yes, "discovery::test_c13_pages"),
    Control("only hashes are stored", tokens, "token_hash", lambda token: token, "keeping::test_102"),
    Control("the audit trail", audit, "record", nothing, "keeping::test_108"),
    Control("a request has 8 KB", pages, "QUERY_LIMIT", 10**6, "bounds::test_a_request_of_more"),
    Control("open requests are few", authorizations, "_end_oldest", nothing, "bounds::test_a_browser_session"),
    Control("the same client once", clients, "find_registration", nothing, "bounds::test_the_same_public"),
    Control("the same client counts not", clients, "find_registration", nothing, "bounds::test_017_the_same"),
    Control("the same description is known again", registration, "hash_of", nothing, "bounds::test_the_same_public"),
    Control("another address, another client", registration, "hash_of",
            lambda _settings, _address, description: description.as_text(), "bounds::test_the_same_client_from"),
    Control("registering again postpones", clients, "is_due_for_renewal", no, "bounds::test_021"),
    Control("small registrations", Description, "is_small", True, "bounds::test_016"),
    Control("small documents", Description, "is_small", True, "bounds::test_027"),
    Control("few fetches for a person", authorization, "_count_fetch", nothing, "bounds::test_035_documents"),
    Control("few fetches from a host", authorization, "HOST_TIMES", 1000, "bounds::test_035_a_host"),
    Control("an old copy beyond the limit", client_documents, "may_be_stale", no, "bounds::test_035_beyond"),
    Control("unused documents go", retention, "DOCUMENT_RETENTION", timedelta(days=9), "bounds::test_a_document_that"),
    Control("documents in use stay", clients, "is_unused_document", lambda: OAuthClient.kind == "document",
            "bounds::test_a_document_in_use"),
    Control("few unused documents", clients, "_forget_oldest_documents", nothing, "bounds::test_unused_documents"),
    Control("unknown clients count by address", token_endpoints, "_known_client_id", named_client,
            "bounds::test_078_a_stranger"),
    Control("known clients count by address too", token_endpoints, "ADDRESS_TIMES", 1000, "bounds::test_078_a_caller"),
    Control("a grant has a limit", tokens, "grant_id_of", nothing, "bounds::test_a_grant_refreshes"),
    Control("three successors", tokens, "_refuse_excess", nothing, "refresh::test_082_a_token_has"),
    Control("few live tokens", tokens, "_refuse_excess", nothing, "refresh::test_082_a_family_with"),
    Control("no live token is evicted", tokens, "_prune", evicting, "refresh::test_082_a_copy"),
    Control("a late token is refused", tokens, "_refuse_late", nothing, "refresh::test_081"),
    Control("a second successor is audited", refusals, "note_repetition", nothing, "refusals::test_each_use"),
    Control("a place that others reach", pages, "risks_of", without_risks, "pages::test_056_the_page_warns"),
    Control("the place of this request", pages, "risks_of", always_local, "pages::test_056_the_page_warns"),
    Control("a place without encryption", pages, "risks_of", without_risks, "pages::test_056_an_address_in"),
    Control("schemes that are not private", redirect_uris, "NOT_PRIVATE", frozenset(),
            "redirect_uris::test_a_scheme_of"),
    Control("pop-ups keep their window", middleware, "SECURITY_HEADERS", {"Cross-Origin-Opener-Policy": "same-origin"},
            "opener::test_every_answer"),
    Control("plain http while we are private", redirect_uris, "is_private", yes, "redirect_uris::test_plain_http_is"),
    Control("our name is ours", client_names, "looks_like_ours", no, "client_names::test_056_a_name_cannot_pose"),
    Control("a name stays within its marks", client_names, "_QUOTES", {}, "client_names::test_056_a_name_cannot_leave"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_a_test_fails_without_its_rule(control: Control) -> None:
    assert_noticed(control, HERE, "test_{}.py")
