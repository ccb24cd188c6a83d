"""The metadata that clients discover: the protected resource (RFC 9728) and its authorization server (RFC 8414).

Every URL begins with PUBLIC_URL; a request's Host header never changes one.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from oauth.grants import AUTH_METHODS, OFFLINE_ACCESS
from server.domain.grants.clients import GRANT_TYPES
from server.principal import Scope
from server.settings import Settings
from server.shell.runtime import State

SCOPES = [scope.value for scope in Scope]
KEYS = "/oauth/jwks"
OPENID_REQUIRES = {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}
"""The fields that OpenID Connect Discovery requires besides `jwks_uri`. The server signs no tokens and ignores them.
Clients that read the document at OpenID Connect's path, such as Spring's, refuse it without these fields.
"""

CACHE = {"Cache-Control": "public, max-age=300"}


async def resource(request: Request[State]) -> Response:
    """Answer with the document. For the address of `/mcp/`, it names `/mcp/`, because clients compare the URL they have
    with it (RFC 9728 section 3.3).
    """
    document = resource_document(request.state["runtime"].settings)
    slash = "/" if request.scope.get("raw_path", b"").endswith(b"/mcp/") else ""
    return JSONResponse(document | {"resource": f"{document['resource']}{slash}"}, headers=CACHE)


async def server(request: Request[State]) -> Response:
    return JSONResponse(server_document(request.state["runtime"].settings), headers=CACHE)


async def keys(_request: Request[State]) -> Response:
    return JSONResponse({"keys": []}, headers=CACHE)


def resource_document(settings: Settings) -> dict[str, str | list[str]]:
    """Return the document without `offline_access`: clients that read it here would request it every time."""
    return {
        "resource": settings.resource,
        "authorization_servers": [settings.public_url],
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": "SelfMemory",
        "resource_documentation": f"{settings.public_url}/docs",
    }


def server_document(settings: Settings) -> dict[str, str | bool | list[str]]:
    url = settings.public_url
    return {
        "issuer": url,
        "authorization_endpoint": f"{url}/oauth/authorize",
        "token_endpoint": f"{url}/oauth/token",
        "registration_endpoint": f"{url}/oauth/register",
        "revocation_endpoint": f"{url}/oauth/revoke",
        "introspection_endpoint": f"{url}/oauth/introspect",
        "jwks_uri": f"{url}{KEYS}",
        "scopes_supported": [*SCOPES, OFFLINE_ACCESS],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": settings.cimd_enabled,
        "service_documentation": f"{url}/docs",
        **OPENID_REQUIRES,
    }
