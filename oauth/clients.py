"""A stored client with the interface that Authlib calls."""

from collections.abc import Set

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.errors import InvalidRequestError

from server.domain.grants import redirect_uris
from server.models import AuthMethod, OAuthClient
from server.principal import Scope, with_implied
from server.web.statuses import EVERYDAY_SCOPES


def known_scopes(text: str | None) -> frozenset[Scope]:
    """Return the scopes in `text` that this server knows, and the scopes that they imply."""
    return with_implied(frozenset(Scope(word) for word in (text or "").split(" ") if word in set(Scope)))


class Client(ClientMixin):
    def __init__(self, row: OAuthClient) -> None:
        self.row = row
        self.id = row.id

    def get_client_id(self) -> str:
        return self.row.id

    @property
    def auth_methods(self) -> Set[str]:
        """Return the methods the client may use. It may send its secret in both ways: many client libraries choose one
        without regard to the registered method.
        """
        if self.row.secret_hash is not None:
            return {AuthMethod.BASIC, AuthMethod.POST}
        return {self.row.auth_method}

    def get_default_redirect_uri(self) -> str | None:
        """Return the only registered URI. With several, the request must name one."""
        return self.row.redirect_uris[0] if len(self.row.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the known scopes of the request, or the defaults, since some clients request only OpenID scopes."""
        return " ".join(sorted(known_scopes(scope) or EVERYDAY_SCOPES))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(redirect_uris.matches(registered, redirect_uri) for registered in self.row.redirect_uris)

    def redirect_uri_for(self, requested: str | None, public_url: str) -> str:
        """Return the URI that the answer goes to. Raises InvalidRequestError; show it on a page.

        A URI that was allowed under an earlier PUBLIC_URL may be refused now.
        """
        uri = requested or self.get_default_redirect_uri()
        if uri is None or not self.check_redirect_uri(uri) or not redirect_uris.is_allowed(uri, public_url):
            raise InvalidRequestError(redirect_uris.why_not_registered(uri, self.row.redirect_uris, public_url))
        return uri

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.row.grant_types
