"""Every OAuth route on one screen. `server.web.cors` says which of them other origins may read."""

from starlette.routing import Route

from oauth import metadata, pages, token_endpoints
from oauth.errors import ForPrograms
from oauth.pages import ForPeople

RESOURCE = "/.well-known/oauth-protected-resource"
SERVERS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
"""The second path is the one of OpenID Connect. Some clients look for this document only there (RFC 8414 section 5)."""


def addresses_of(path: str) -> tuple[str, ...]:
    """Return the paths where clients look for metadata: at the root, and with the resource's path before or after it
    (RFC 8414 section 3.1).
    """
    return path, f"{path}/mcp", f"/mcp{path}"


ROUTES = (
    *(Route(address, metadata.resource) for address in addresses_of(RESOURCE)),
    *(Route(address, metadata.server) for server in SERVERS for address in addresses_of(server)),
    Route(metadata.KEYS, metadata.keys),
    Route("/oauth/authorize", ForPeople({"GET": pages.authorize})),
    Route("/oauth/consent/{request_id}", ForPeople({"POST": pages.decide})),
    Route("/oauth/token", ForPrograms({"POST": token_endpoints.token})),
    Route("/oauth/register", ForPrograms({"POST": token_endpoints.register})),
    Route("/oauth/revoke", ForPrograms({"POST": token_endpoints.revoke})),
    Route("/oauth/introspect", ForPrograms({"POST": token_endpoints.introspect})),
)
