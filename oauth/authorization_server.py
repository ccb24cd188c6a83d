"""Authlib's authorization server on one database session: clients, grants and endpoints it decides about."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from authlib.oauth2 import AuthorizationServer as BaseServer
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError, UnsupportedResponseTypeError
from sqlmodel import Session

from oauth.clients import Client
from oauth.grants import CodeGrant, ProofKey, RefreshGrant, require_plain_request
from oauth.requests import ClientRefused, FlowRequest, client_credentials
from oauth.revocation import Introspection, Revocation
from server.domain.grants import clients
from server.models import AuthMethod
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """What Authlib answers with, before it is HTTP."""

    status: int
    body: dict[str, object] = field(default_factory=dict)
    headers: Sequence[tuple[str, str]] = ()


class AuthorizationServer(BaseServer):
    """Lives as long as one transaction. Errors are Authlib's; a caller that gets an Answer must commit."""

    def __init__(self, settings: Settings, session: Session) -> None:
        super().__init__()
        self.settings = settings
        self.session = session
        self.register_grant(CodeGrant, [ProofKey(), require_plain_request])
        self.register_grant(RefreshGrant)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def query_client(self, client_id: str) -> Client | None:
        row = clients.find(self.session, client_id)
        return None if row is None else Client(row)

    def authenticate_client(self, request: FlowRequest, _methods: object, _endpoint: str = "token") -> Client:
        """By a method that is the client's own, the same at every endpoint. Raises ClientRefused."""
        given = client_credentials(request)
        client = self.query_client(given.client_id)
        refused = ClientRefused(by_header="authorization" in request.headers)
        if client is None or given.method not in client.auth_methods:
            raise refused
        if given.method is not AuthMethod.NONE and not clients.secret_matches(client.row, given.secret):
            raise refused
        request.auth_method = given.method
        return client

    def get_authorization_grant(self, request: FlowRequest) -> CodeGrant:
        """Client and redirect URI are looked at first: as long as they are in doubt, no error is sent anywhere."""
        redirect_uri = self.registered_redirect_uri(request)
        if request.payload.response_type != "code":
            raise UnsupportedResponseTypeError("", "The response_type must be code.", redirect_uri=redirect_uri)
        grant: CodeGrant = super().get_authorization_grant(request)
        return grant

    def registered_redirect_uri(self, request: FlowRequest) -> str:
        """Where an answer may go. Raises InvalidClientError, InvalidRequestError; both are for a page."""
        if any(len(request.payload.datalist.get(name, ())) > 1 for name in ("client_id", "redirect_uri")):
            raise InvalidRequestError("The client or the redirect URI is named more than once.")
        client = self.query_client(request.payload.client_id or "")
        if client is None:
            raise InvalidClientError("The application is not known here, or not any more: connect it anew.")
        asked = request.payload.redirect_uri or client.get_default_redirect_uri()
        if asked is None or not client.check_redirect_uri(asked):
            raise InvalidRequestError("The redirect URI is not one that the client has registered.")
        return str(asked)

    def create_oauth2_request(self, request: FlowRequest) -> FlowRequest:
        return request

    def handle_response(self, status: int, body: dict[str, object], headers: Sequence[tuple[str, str]]) -> Answer:
        return Answer(status, body, headers)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""
