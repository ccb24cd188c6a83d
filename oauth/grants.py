"""The two grants: an authorization code with a proof key (RFC 7636), and a refresh token that rotates.

The log says why a code or token was refused. The client gets the same message for every reason.
"""

import logging
import re
from dataclasses import dataclass
from typing import ClassVar

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from oauth.clients import Client, known_scopes
from oauth.requests import FlowRequest, require_own_resource, require_single
from server.domain.grants import refusals, tokens
from server.domain.grants.refusals import Refusal
from server.domain.grants.tokens import IssuedTokens
from server.models import AuthMethod, AuthorizationCode, OAuthGrant, RefreshToken

log = logging.getLogger(__name__)

AUTH_METHODS = [method.value for method in AuthMethod]
OFFLINE_ACCESS = "offline_access"
OPENID = ("openid", "profile", "email", "address", "phone", OFFLINE_ACCESS)
"""Scopes that some clients request from every server.

They grant nothing; refusing them would lock those clients' users out.
"""
CODE_REFUSED = (
    "The code is unknown, used or expired, or it does not match this client, code_verifier or redirect_uri. "
    "Authorize again."
)
REFRESH_REFUSED = "The refresh token was already used or is no longer valid. Authorize again."
WIDER_SCOPE = (
    "A refresh cannot ask for more scopes than were granted. Leave the scope out, or authorize again to ask for more."
)
_S256 = re.compile(r"[A-Za-z0-9_-]{43}")

TokenAnswer = tuple[int, dict[str, object], list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class PresentedCode:
    """An authorization code in the form that Authlib expects."""

    row: AuthorizationCode

    @property
    def code_challenge(self) -> str:
        return self.row.code_challenge

    @property
    def code_challenge_method(self) -> str:
        return "S256"

    def get_redirect_uri(self) -> None:
        """Return None, because `query_authorization_code` has compared the URI."""


@dataclass(frozen=True, slots=True)
class PresentedRefreshToken:
    row: RefreshToken
    grant: OAuthGrant

    def check_client(self, client: Client) -> bool:
        return self.grant.client_id == client.id

    def get_scope(self) -> str:
        """Return the scopes that the client may request."""
        return " ".join([*self.grant.scopes, *OPENID])


class CodeGrant(AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    @staticmethod
    def validate_no_multiple_request_parameter(request: FlowRequest) -> None:
        """Do nothing: `require_plain_request` checks all parameters."""

    def query_authorization_code(self, code: str, client: Client) -> PresentedCode:
        code_row = tokens.find_code(self.server.session, code, client.id)
        if isinstance(code_row, Refusal):
            raise refused_code(client.id, code_row)
        if self.names_other_uri(code_row):
            raise self.mismatch(code_row, Refusal.WRONG_REDIRECT_URI)
        return PresentedCode(code_row)

    def names_other_uri(self, code: AuthorizationCode) -> bool:
        """Return whether the request names a redirect URI that is not the code's. It may name none (OAuth 2.1)."""
        return self.request.payload.redirect_uri not in (None, code.redirect_uri)

    def mismatch(self, code: AuthorizationCode, reason: Refusal) -> InvalidGrantError:
        """Return the error for a code that does not match the request, after recording the reason."""
        return refused_code(code.client_id, refusals.refuse_code(self.server.session, code, reason))

    def validate_token_request(self) -> None:
        super().validate_token_request()
        require_own_resource(self.request.payload.datalist, self.server.settings)

    def create_token_response(self) -> TokenAnswer:
        with_refresh = self.request.client.check_grant_type(RefreshGrant.GRANT_TYPE)
        code: PresentedCode = self.request.authorization_code
        issued = tokens.redeem(self.server.session, self.server.settings, code.row, with_refresh_token=with_refresh)
        if isinstance(issued, Refusal):
            raise refused_code(code.row.client_id, issued)
        return 200, body_of(issued), self.TOKEN_RESPONSE_HEADER


class RefreshGrant(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> PresentedRefreshToken:
        client: Client = self.request.client
        token_row = tokens.find_refresh_token(self.server.session, refresh_token)
        if token_row is None:
            raise refused_token(client.id, None, Refusal.UNKNOWN)
        presented = PresentedRefreshToken(*token_row)
        if not presented.check_client(client):
            reason = refusals.refuse_token(self.server.session, presented.grant, Refusal.OTHER_CLIENT)
            raise refused_token(client.id, presented.grant.id, reason)
        return presented

    def validate_token_request(self) -> None:
        try:
            super().validate_token_request()
        except InvalidScopeError:
            raise InvalidScopeError(WIDER_SCOPE) from None
        require_own_resource(self.request.payload.datalist, self.server.settings)

    def create_token_response(self) -> TokenAnswer:
        presented: PresentedRefreshToken = self.request.refresh_token
        grant_id = presented.grant.id
        requested = known_scopes(self.request.payload.scope)
        scopes = [scope for scope in presented.grant.scopes if scope in requested] or presented.grant.scopes
        issued = tokens.rotate(self.server.session, self.server.settings, presented.row, scopes)
        if isinstance(issued, Refusal):
            raise refused_token(self.request.client.id, grant_id, issued)
        return 200, body_of(issued), self.TOKEN_RESPONSE_HEADER


class ProofKey(CodeChallenge):
    """Require a code challenge from every client. S256 is the only method."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: CodeGrant, _result: None) -> None:
        data = grant.request.payload.data
        if "code_challenge" not in data:
            raise InvalidRequestError("The code_challenge is missing: send one with code_challenge_method S256 (PKCE).")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("The code_challenge_method must be S256.")
        if not _S256.fullmatch(data.get("code_challenge", "")):
            raise InvalidRequestError("The code_challenge must be 43 characters of base64url.")

    def validate_code_verifier(self, grant: CodeGrant, result: None) -> None:
        try:
            super().validate_code_verifier(grant, result)
        except InvalidGrantError:
            raise grant.mismatch(grant.request.authorization_code.row, Refusal.WRONG_VERIFIER) from None


def require_plain_request(grant: CodeGrant) -> None:
    """Register a check: each parameter once, no request objects (RFC 9101), our resource only (RFC 8707)."""
    grant.register_hook("after_validate_authorization_request_payload", _require_plain)


def _require_plain(grant: CodeGrant, _result: None) -> None:
    fields = grant.request.payload.datalist
    for name in ("request", "request_uri"):
        if name in fields:
            raise OAuth2Error(f"{name} is not supported.", error=f"{name}_not_supported")
    require_single(fields)
    require_own_resource(fields, grant.server.settings)


def refused_code(client_id: str, reason: Refusal) -> InvalidGrantError:
    """Log the reason. Return the error, which is the same for every reason."""
    log.info("code refused", extra={"client_id": client_id, "reason": reason.value})
    return InvalidGrantError(CODE_REFUSED)


def refused_token(client_id: str, grant_id: str | None, reason: Refusal) -> InvalidGrantError:
    """Like `refused_code`, for a refresh token. `grant_id` is None when the token is unknown."""
    grant = {} if grant_id is None else {"grant_id": grant_id}
    log.info("refresh token refused", extra={"client_id": client_id, **grant, "reason": reason.value})
    return InvalidGrantError(REFRESH_REFUSED)


def body_of(issued: IssuedTokens) -> dict[str, object]:
    """Return the body of a token response (RFC 6749 section 5.1)."""
    body: dict[str, object] = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": " ".join(issued.scopes),
    }
    return body if issued.refresh_token is None else body | {"refresh_token": issued.refresh_token}
