"""A stored client, as Authlib asks about it."""

from authlib.oauth2.rfc6749 import ClientMixin

from server.domain import redirect_uris
from server.models import OAuthClient
from server.principal import Scope, with_implied

DEFAULT_SCOPES = frozenset({Scope.READ, Scope.WRITE})


class Client(ClientMixin):
    def __init__(self, row: OAuthClient) -> None:
        self.row = row
        self.id = row.id

    def get_client_id(self) -> str:
        return self.row.id

    def get_default_redirect_uri(self) -> str | None:
        """The only one that is registered; with several the request must say which."""
        return self.row.redirect_uris[0] if len(self.row.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """What is known of the scopes asked for, or else the default: some clients ask for those of OpenID Connect."""
        known = frozenset(Scope(word) for word in (scope or "").split(" ") if word in set(Scope))
        return " ".join(sorted(with_implied(known or DEFAULT_SCOPES)))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(redirect_uris.matches(registered, redirect_uri) for registered in self.row.redirect_uris)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.row.grant_types
