"""What others rely on, written down a second time: a change here is a decision, not an accident."""

import re

import httpx

from rest.errors import STATUS, status_of
from rest.routes import ENDPOINTS
from server import errors
from server.app import create_app
from server.domain.access import ORGANIZATION_ACTIONS, PROJECT_ACTIONS
from server.principal import Scope
from server.settings import Settings


def every(kind: type[errors.ServiceError]) -> set[type[errors.ServiceError]]:
    return {kind}.union(*(every(below) for below in kind.__subclasses__()))


def test_every_error_has_a_status() -> None:
    assert {
        kind.__name__
        for kind in every(errors.ServiceError) - {errors.ServiceError}
        if not set(kind.__mro__) & set(STATUS)
    } == set()


def test_the_status_of_each_kind_of_error() -> None:
    assert {kind.__name__: status for kind, status in STATUS.items()} == {
        "Invalid": 400,
        "Unauthenticated": 401,
        "Forbidden": 403,
        "NotFound": 404,
        "Conflict": 409,
        "Gone": 410,
        "TooLarge": 413,
        "Unsupported": 415,
        "RateLimited": 429,
        "Unavailable": 503,
    }
    assert status_of(errors.InsufficientScope(["memories:read"])) == 403


def test_the_scopes() -> None:
    assert [scope.value for scope in Scope] == ["memories:read", "memories:write"]


def test_what_a_role_in_an_organization_may() -> None:
    assert {role.value: sorted(action.value for action in may) for role, may in ORGANIZATION_ACTIONS.items()} == {
        "member": ["leave", "see"],
        "admin": ["create_project", "leave", "manage_members", "see", "see_audit"],
        "owner": ["create_project", "leave", "manage_members", "own", "see", "see_audit"],
    }


def test_what_a_role_in_a_project_may() -> None:
    viewer = ["create_read_key", "leave", "read", "see"]
    editor = [*viewer, "create_key", "write"]
    admin = [*editor, "delete_any_key", "delete_project", "manage_members"]
    assert {role.value: sorted(action.value for action in may) for role, may in PROJECT_ACTIONS.items()} == {
        "viewer": sorted(viewer),
        "editor": sorted(editor),
        "admin": sorted(admin),
    }


def test_the_settings() -> None:
    assert " ".join(Settings.model_fields) == (
        "host port public_url data_dir database_url chroma_url redis_url embedding_model exact_scan_limit secret_key "
        "smtp_url mail_from sign_up session_cookie session_days allowed_origins trusted_proxies metrics_token "
        "rate_limit_enabled rate_limit_memory_add rate_limit_memory_search rate_limit_organization_create "
        "rate_limit_project_create rate_limit_invitation rate_limit_sign_up rate_limit_sign_in rate_limit_registration "
        "rate_limit_token_failure client_retention_days access_token_seconds refresh_token_days refresh_grace_seconds "
        "code_seconds cimd_allow_private log_level log_format"
    )


ROUTES = """
POST   /api/memories
GET    /api/memories
DELETE /api/memories
POST   /api/memories/batch
POST   /api/memories/search
GET    /api/memories/stats
GET    /api/memories/{memory_id}
PUT    /api/memories/{memory_id}
DELETE /api/memories/{memory_id}
GET    /api/memories/{memory_id}/history
POST   /api/organizations
GET    /api/organizations
GET    /api/organizations/{organization_id}
DELETE /api/organizations/{organization_id}
PUT    /api/organizations/{organization_id}/transfer-ownership
GET    /api/organizations/{organization_id}/audit
GET    /api/organizations/{organization_id}/members
PUT    /api/organizations/{organization_id}/members/{user_id}
DELETE /api/organizations/{organization_id}/members/{user_id}
POST   /api/organizations/{organization_id}/invitations
DELETE /api/organizations/{organization_id}/invitations/{invitation_id}
POST   /api/projects
GET    /api/projects
GET    /api/projects/{project_id}
DELETE /api/projects/{project_id}
GET    /api/projects/{project_id}/members
POST   /api/projects/{project_id}/members
PUT    /api/projects/{project_id}/members/{user_id}
DELETE /api/projects/{project_id}/members/{user_id}
POST   /api/projects/{project_id}/invitations
POST   /api/projects/{project_id}/api-keys
GET    /api/projects/{project_id}/api-keys
DELETE /api/projects/{project_id}/api-keys/{key_id}
GET    /api/invitations/pending
GET    /api/invitations/{token}
POST   /api/invitations/{token}/accept
POST   /api/invitations/{token}/decline
GET    /api/notifications
PUT    /api/notifications/read-all
PUT    /api/notifications/{notification_id}/read
GET    /api/connections
DELETE /api/connections/{connection_id}
GET    /api/users/me
DELETE /api/users/me
POST   /v1/memories/temporal-search/
POST   /v1/memories/tag-search/
POST   /v1/memories/people-search/
GET    /v1/stats
GET    /v1/health
GET    /health
GET    /health/live
GET    /health/ready
GET    /metrics
GET    /openapi.json
GET    /docs
GET    /docs.css
"""


def test_the_rest_routes() -> None:
    assert [f"{endpoint.method:<6} {endpoint.path}" for endpoint in ENDPOINTS] == ROUTES.strip().splitlines()


async def test_head_is_get_without_the_body_at_every_address(client: httpx.AsyncClient, settings: Settings) -> None:
    """RFC 9110 section 9.1; and whoever asks in another way is told of both."""
    for path in {re.sub(r"{\w+}", "x", route.path) for route in create_app(settings).routes}:  # type: ignore[attr-defined]  # Starlette's base class has none
        get, head, other = [await client.request(method, path) for method in ("GET", "HEAD", "PATCH")]
        assert (head.status_code, head.headers.get("allow")) == (get.status_code, get.headers.get("allow")), path
        if get.status_code != 405 and other.status_code == 405:
            assert {"GET", "HEAD"} <= set(other.headers["allow"].split(", ")), path


async def test_the_forms_of_the_door_say_how_they_may_be_asked(client: httpx.AsyncClient) -> None:
    for path in ("/sign-up", "/sign-in", "/forgot-password", "/reset-password/x", "/verify-email/x"):
        answer = await client.put(path)
        assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
