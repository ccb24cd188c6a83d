"""Every OAuth route on one screen. `server.cors` says which of them other origins may read."""

from starlette.routing import Route

from oauth import metadata, pages, token_endpoints
from oauth.errors import ForPrograms
from oauth.pages import ForPeople

RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"

# Clients look for metadata under the root and under the resource's path (RFC 8414 section 3.1, RFC 9728 section 3.1).
# There is no OpenID Connect metadata: clients that look for it get 404.
ROUTES = (
    Route(RESOURCE, metadata.resource),
    Route(f"{RESOURCE}/mcp", metadata.resource),
    Route(SERVER, metadata.server),
    Route(f"{SERVER}/mcp", metadata.server),
    Route("/oauth/authorize", ForPeople({"GET": pages.authorize})),
    Route("/oauth/consent/{request_id}", ForPeople({"POST": pages.decide})),
    Route("/oauth/token", ForPrograms({"POST": token_endpoints.token})),
    Route("/oauth/register", ForPrograms({"POST": token_endpoints.register})),
    Route("/oauth/revoke", ForPrograms({"POST": token_endpoints.revoke})),
    Route("/oauth/introspect", ForPrograms({"POST": token_endpoints.introspect})),
)
