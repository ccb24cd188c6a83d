"""What a client may ask about its own tokens: revocation (RFC 7009) and introspection (RFC 7662)."""

from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from oauth.requests import FlowRequest
from server.domain.grants import tokens

TokenAnswer = tuple[int, dict[str, object], list[tuple[str, str]]]


class Revocation(RevocationEndpoint):
    """A token that is unknown or another client's is answered like one that was revoked."""

    def create_endpoint_response(self, request: FlowRequest) -> TokenAnswer:
        client = self.authenticate_endpoint_client(request)
        tokens.revoke(self.server.session, presented_token(request), client.id)
        return 200, {}, default_json_headers


class Introspection(IntrospectionEndpoint):
    """Refresh tokens, and all that is not the client's own, are not active."""

    def create_endpoint_response(self, request: FlowRequest) -> TokenAnswer:
        client = self.authenticate_endpoint_client(request)
        found = tokens.introspect(self.server.session, presented_token(request), client.id)
        if found is None:
            return 200, {"active": False}, default_json_headers
        body: dict[str, object] = {
            "active": True,
            "scope": " ".join(found.scopes),
            "client_id": found.client_id,
            "token_type": "Bearer",
            "sub": found.user_id,
            "aud": self.server.settings.resource,
            "iss": self.server.settings.public_url,
            "iat": int(found.created_at.timestamp()),
            "exp": int(found.expires_at.timestamp()),
        }
        return 200, body, default_json_headers


def presented_token(request: FlowRequest) -> str:
    """The hint about its type is not needed to find it. Raises InvalidRequestError."""
    token = request.form.get("token")
    if token is None:
        raise InvalidRequestError("The token is missing.")
    return token
