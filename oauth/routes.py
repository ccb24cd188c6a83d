"""Every OAuth route on one screen. CORS for those that other origins may read: `server.cors`."""

from starlette.routing import Route

from oauth import metadata, pages, token_endpoints
from oauth.errors import ForPrograms
from oauth.pages import ForPeople

RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"

# Clients ask under the root and under the path of the resource (RFC 8414 section 3.1, RFC 9728 section 3.1). Those that
# ask for OpenID Connect are told that there is none.
ROUTES = (
    Route(RESOURCE, metadata.resource),
    Route(f"{RESOURCE}/mcp", metadata.resource),
    Route(SERVER, metadata.server),
    Route(f"{SERVER}/mcp", metadata.server),
    Route("/oauth/authorize", ForPeople(pages.authorize, "GET")),
    Route("/oauth/authorize/{parked_id}", ForPeople(pages.resume, "GET")),
    Route("/oauth/consent/{request_id}", ForPeople(pages.decide, "POST")),
    Route("/oauth/token", ForPrograms(token_endpoints.token)),
    Route("/oauth/register", ForPrograms(token_endpoints.register)),
    Route("/oauth/revoke", ForPrograms(token_endpoints.revoke)),
    Route("/oauth/introspect", ForPrograms(token_endpoints.introspect)),
)
