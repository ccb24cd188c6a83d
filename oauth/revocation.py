"""Revocation (RFC 7009) and introspection (RFC 7662) of a client's own tokens."""

from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from oauth.grants import TokenAnswer
from oauth.requests import FlowRequest
from server.domain.grants import tokens


class Revocation(RevocationEndpoint):
    """Revoke a token of the client. For an unknown token or another client's, answer 200 too, but revoke nothing."""

    def create_endpoint_response(self, request: FlowRequest) -> TokenAnswer:
        client = self.authenticate_endpoint_client(request)
        tokens.revoke(self.server.session, presented_token(request), client.id)
        return 200, {}, default_json_headers


class Introspection(IntrospectionEndpoint):
    """Describe an access token of the client. Report every other token as inactive, even a refresh token."""

    def create_endpoint_response(self, request: FlowRequest) -> TokenAnswer:
        client = self.authenticate_endpoint_client(request)
        active = tokens.introspect(self.server.session, presented_token(request), client.id)
        if active is None:
            return 200, {"active": False}, default_json_headers
        body: dict[str, object] = {
            "active": True,
            "scope": " ".join(active.scopes),
            "client_id": active.client_id,
            "token_type": "Bearer",
            "sub": active.user_id,
            "aud": self.server.settings.resource,
            "iss": self.server.settings.public_url,
            "iat": int(active.created_at.timestamp()),
            "exp": int(active.expires_at.timestamp()),
        }
        return 200, body, default_json_headers


def presented_token(request: FlowRequest) -> str:
    """Return the token in the request. Ignores `token_type_hint`. Raises InvalidRequestError."""
    token = request.form.get("token")
    if token is None:
        raise InvalidRequestError("The token is missing.")
    return token
