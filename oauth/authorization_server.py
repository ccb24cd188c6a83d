"""Authlib's authorization server, bound to one database session."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from authlib.oauth2 import AuthorizationServer as BaseServer
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from sqlmodel import Session

from oauth.clients import Client
from oauth.grants import CodeGrant, ProofKey, RefreshGrant, require_plain_request
from oauth.requests import UNKNOWN_CLIENT, ClientRefused, FlowRequest, client_credentials, require_one_target
from oauth.revocation import Introspection, Revocation
from server.domain.grants import clients
from server.models import AuthMethod
from server.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """Authlib's answer, before it becomes an HTTP response."""

    status: int
    body: dict[str, object] = field(default_factory=dict)
    headers: Sequence[tuple[str, str]] = ()


class AuthorizationServer(BaseServer):
    """Create one for each transaction, and commit the transaction after every Answer. Raises Authlib's errors."""

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
        """Authenticate the client. Raises ClientRefused."""
        credentials = client_credentials(request)
        client = self.query_client(credentials.client_id)
        by_header = "authorization" in request.headers
        if client is None:
            raise ClientRefused(UNKNOWN_CLIENT, by_header=by_header)
        if credentials.method not in client.auth_methods:
            methods = " or ".join(sorted(client.auth_methods))
            raise ClientRefused(f"This client authenticates with {methods}.", by_header=by_header)
        if credentials.method is not AuthMethod.NONE and not clients.secret_matches(client.row, credentials.secret):
            raise ClientRefused("The client_secret is wrong.", by_header=by_header)
        request.auth_method = credentials.method
        return client

    def get_authorization_grant(self, request: FlowRequest) -> CodeGrant:
        """Check the client and the redirect URI first, because no error may be sent to the URI until both are valid."""
        redirect_uri = self.registered_redirect_uri(request)
        if request.payload.response_type != "code":
            raise OAuth2Error(
                "The response_type must be code.", redirect_uri=redirect_uri, error="unsupported_response_type"
            )
        grant: CodeGrant = super().get_authorization_grant(request)
        return grant

    def registered_redirect_uri(self, request: FlowRequest) -> str:
        """Return the URI for the answer. Raises InvalidClientError or InvalidRequestError; show both on a page."""
        require_one_target(request.payload.datalist)
        if not request.payload.client_id:
            raise InvalidRequestError("The application did not say who it is: its request has no client_id.")
        client = self.query_client(request.payload.client_id)
        if client is None:
            raise InvalidClientError(
                "This application is not registered on this server, or its registration was removed. To register it "
                "again, remove this server from the application and add it back."
            )
        return client.redirect_uri_for(request.payload.redirect_uri, self.settings.public_url)

    def create_oauth2_request(self, request: FlowRequest) -> FlowRequest:
        return request

    def handle_response(self, status: int, body: dict[str, object], headers: Sequence[tuple[str, str]]) -> Answer:
        return Answer(status, body, headers)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Do nothing: this server has no listeners for Authlib's signals."""
