"""The two grants: an authorization code with a proof key (RFC 7636), and a refresh token that rotates."""

import re
from dataclasses import dataclass
from typing import ClassVar

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from oauth.clients import Client, known_scopes
from oauth.requests import FlowRequest, require_own_resource, require_single
from server.domain.grants import tokens
from server.domain.grants.tokens import IssuedTokens
from server.models import AuthMethod, AuthorizationCode, OAuthGrant, RefreshToken

AUTH_METHODS = [method.value for method in AuthMethod]
OFFLINE_ACCESS = "offline_access"
# What some clients ask for at every server. It adds nothing here; refused, it would sign their users out.
OPENID = ("openid", "profile", "email", OFFLINE_ACCESS)
_S256 = re.compile(r"[A-Za-z0-9_-]{43}")

TokenAnswer = tuple[int, dict[str, object], list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class PresentedCode:
    """A code as Authlib asks about it; the redirect URI counts only if the token request names one (OAuth 2.1)."""

    row: AuthorizationCode
    names_redirect_uri: bool

    @property
    def code_challenge(self) -> str:
        return self.row.code_challenge

    @property
    def code_challenge_method(self) -> str:
        return "S256"

    def get_redirect_uri(self) -> str | None:
        return self.row.redirect_uri if self.names_redirect_uri else None


@dataclass(frozen=True, slots=True)
class PresentedRefreshToken:
    row: RefreshToken
    grant: OAuthGrant

    def check_client(self, client: Client) -> bool:
        return self.grant.client_id == client.id

    def get_scope(self) -> str:
        """What may be asked for."""
        return " ".join([*self.grant.scopes, *OPENID])


class CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    @staticmethod
    def validate_no_multiple_request_parameter(request: FlowRequest) -> None:
        """Done by `require_plain_request`, for all parameters."""

    def query_authorization_code(self, code: str, client: Client) -> PresentedCode | None:
        row = tokens.find_code(self.server.session, code, client.id)
        return None if row is None else PresentedCode(row, self.request.payload.redirect_uri is not None)

    def validate_token_request(self) -> None:
        super().validate_token_request()
        require_own_resource(self.request.payload.datalist, self.server.settings)

    def create_token_response(self) -> TokenAnswer:
        with_refresh = self.request.client.check_grant_type(RefreshGrant.GRANT_TYPE)
        code: PresentedCode = self.request.authorization_code
        issued = tokens.redeem(self.server.session, self.server.settings, code.row, with_refresh_token=with_refresh)
        if issued is None:
            raise InvalidGrantError("The code was used already or has ended.")
        return 200, body_of(issued), self.TOKEN_RESPONSE_HEADER


class RefreshGrant(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> PresentedRefreshToken | None:
        found = tokens.find_refresh_token(self.server.session, refresh_token)
        return None if found is None else PresentedRefreshToken(*found)

    def validate_token_request(self) -> None:
        super().validate_token_request()
        require_own_resource(self.request.payload.datalist, self.server.settings)

    def create_token_response(self) -> TokenAnswer:
        presented: PresentedRefreshToken = self.request.refresh_token
        asked = known_scopes(self.request.payload.scope)
        scopes = [scope for scope in presented.grant.scopes if scope in asked] or presented.grant.scopes
        issued = tokens.rotate(self.server.session, self.server.settings, presented.row, scopes)
        if issued is None:
            raise InvalidGrantError("The refresh token was used already or has ended.")
        return 200, body_of(issued), self.TOKEN_RESPONSE_HEADER


class ProofKey(CodeChallenge):
    """S256 and nothing else, of every client."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: CodeGrant, _result: None) -> None:
        data = grant.request.payload.data
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The code_challenge_method must be S256.")
        if not _S256.fullmatch(data.get("code_challenge", "")):
            raise InvalidRequestError("The code_challenge must be 43 characters of base64url.")


def require_plain_request(grant: CodeGrant) -> None:
    """An extension: every parameter once, no request objects, our resource (RFC 9101, RFC 8707)."""
    grant.register_hook("after_validate_authorization_request_payload", _require_plain)


def _require_plain(grant: CodeGrant, _result: None) -> None:
    fields = grant.request.payload.datalist
    for name in ("request", "request_uri"):
        if name in fields:
            raise OAuth2Error(f"{name} is not supported.", error=f"{name}_not_supported")
    require_single(fields)
    require_own_resource(fields, grant.server.settings)


def body_of(issued: IssuedTokens) -> dict[str, object]:
    """RFC 6749 section 5.1."""
    body: dict[str, object] = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": " ".join(issued.scopes),
    }
    return body if issued.refresh_token is None else body | {"refresh_token": issued.refresh_token}
