"""The errors that callers rely on, written down a second time: their statuses, sentences and OAuth codes."""

import importlib
import pkgutil

from authlib.oauth2.base import OAuth2Error

import oauth
import rest
import server
import tools
from oauth.errors import CODES
from server import errors
from server.web.statuses import STATUS, status_of

NOT_IMPORTED = ("server.migrations", "server.__main__", "server.index.model.onnx_export")
"""They run on import, or need packages that only a build has."""

MODULES = [
    importlib.import_module(module.name)
    for package in (server, rest, tools, oauth)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.startswith(NOT_IMPORTED)
]


def every(kind: type[errors.ServiceError]) -> set[type[errors.ServiceError]]:
    return {kind}.union(*(every(below) for below in kind.__subclasses__()))


def test_every_error_has_a_status() -> None:
    assert {
        kind.__name__
        for kind in every(errors.ServiceError) - {errors.ServiceError}
        if not set(kind.__mro__) & set(STATUS)
    } == set()


def test_the_status_of_each_kind_of_error() -> None:
    assert {kind.__name__: status for kind, status in STATUS.items()} == {
        "Invalid": 400,
        "Unauthenticated": 401,
        "Forbidden": 403,
        "NotFound": 404,
        "Conflict": 409,
        "Gone": 410,
        "TooSlow": 408,
        "TooLarge": 413,
        "QuotaExceeded": 403,
        "Unsupported": 415,
        "RateLimited": 429,
        "Unavailable": 503,
    }
    assert status_of(errors.InsufficientScope(["memories:read"])) == 403


SENTENCES = {
    "AddressUnconfirmed": "Your sign-in provider has not confirmed your email address: confirm it there first.",
    "AlreadyAnswered": "This request was already answered, and the application is connected.",
    "AlreadyMember": "This person is already a member.",
    "AlreadyOn": "Two-factor authentication is already on.",
    "AppLost": "Codes of your app no longer work, because the server's secret key has changed. Use a recovery code.",
    "AlreadyOwner": "This person already owns the organization.",
    "AnotherAccount": "This invitation is for another email address: sign in with the account of that address.",
    "ChangedMeanwhile": "Someone else is changing this memory, so your change was not saved. Try again.",
    "ChangedSince": "This memory was changed in the meantime. Check it, then save again.",
    "Conflict": "This conflicts with stored data.",
    "CredentialEnded": "The session, key or connection of this request has ended. Sign in or connect again.",
    "DocumentRefused": (
        "This application's metadata document could not be used. The server has to fetch it from the application's "
        "site. If it cannot, connect the application with an API key, or set SELFMEMORY_CIMD_ENABLED=false."
    ),
    "EmailTaken": "An account with this email address already exists.",
    "EmbedderClosed": "The server is stopping; nothing was changed. Try again.",
    "DiskFailed": "The server cannot use its disk for this file. Nothing was changed. Tell the server's administrator.",
    "NoSpace": "The server has no space left for this file. Nothing was imported. Tell the server's administrator.",
    "UploadRunning": "An upload or import of yours is still running. Wait until it is done, and try again.",
    "ExportRunning": "An export of yours is still running: let it finish, or cancel its download, and try again.",
    "Forbidden": "Your role does not allow this.",
    "Gone": "This has ended.",
    "IdentityTaken": "This sign-in was used twice at the same moment. Try again.",
    "ImportEnded": "The import made no progress for half an hour, or its project was deleted. Import the file again.",
    "Invalid": "The request is not valid.",
    "InvitedJustNow": "Somebody else invited this address at the same time: reload to see the invitation.",
    "KeyUsedForAnother": "Idempotency-Key: this key was used for another request in the last 24 hours; send a new key.",
    "LastAdmin": "This is the project's last admin: make somebody else an admin first.",
    "LinkEnded": "This link no longer works: it has expired, or it or another link was used. Request a new link.",
    "MaybeStored": "The database did not confirm this: it may have been stored. Check before you send it again, or "
    "send it again with the same Idempotency-Key.",
    "ModelAway": "The embedding model is not ready; nothing was changed. Try again.",
    "ModelFailed": "The embedding model failed; nothing was changed. Try again.",
    "NoAccount": "There is no account with this email address.",
    "NoMail": "This server does not send email: ask its administrator to change the address.",
    "NotFound": "Not found.",
    "NotInvited": "Sign-up is by invitation only: ask a member to invite this address.",
    "NotOn": "Two-factor authentication is off.",
    "OnlyWayIn": "This passkey is the only way to sign in to your account. Set a password first.",
    "OrganizationNameTaken": "The owner already has an organization with this name: choose another name.",
    "OwnerStays": "This is the owner of the organization: transfer the ownership first.",
    "OwnsOrganization": "You own an organization: transfer or delete it first.",
    "PasskeyRefused": "This passkey did not work here. Try again, or sign in another way.",
    "PasskeyTaken": "This passkey was already added.",
    "PasskeyUnusable": "The passkey could not be added. Try again.",
    "PersonalStays": "A personal organization cannot be transferred or deleted.",
    "ProjectNameTaken": "The organization already has a project with this name: choose another name.",
    "ProofNeeded": "Confirm that it is you. Nothing was changed yet.",
    "QuotaExceeded": "This project is full: delete memories, or ask the administrator of this server to raise its "
    "quota.",
    "RequestEnded": "This request has ended. Go back to the application and connect again.",
    "RoleOfOrganization": "This role comes from the organization: change the person's role there.",
    "ServiceError": "The request failed.",
    "SetUpEnded": "This setup has expired. Start again.",
    "SignUpClosed": "Sign-up is closed: ask the administrator of this server for an account.",
    "TooLarge": "The request is too large.",
    "TooManyPasskeys": "An account can have at most 20 passkeys. Delete one first.",
    "TooSlow": "The request body arrived too slowly. Try again on a faster connection.",
    "Unauthenticated": (
        "Authentication is required. Send a valid API key or access token as Authorization: Bearer KEY, an API key as "
        "X-API-Key: KEY, or a session as Authorization: Session SESSION."
    ),
    "Unavailable": "The server cannot do this now; nothing was changed. Try again.",
    "UnknownInvitation": "Invitation not found.",
    "Unsupported": "Send the body as application/json.",
    "VectorsRefused": (
        "The embedding model answered with an invalid vector (NaN, zero, or a wrong length); "
        "nothing was changed. Tell the server's administrator."
    ),
    "ViewNameTaken": "You already have a view with this name: choose another name.",
    "WrongProof": "This is not your password or code. Nothing was changed.",
}


def test_the_sentence_of_each_kind_of_error() -> None:
    assert {
        kind.__name__: kind.sentence for kind in every(errors.ServiceError) if "sentence" in vars(kind)
    } == SENTENCES


OAUTH_ERRORS = """
ClientRefused invalid_client
InvalidClientError invalid_client
InvalidClientMetadataError invalid_client_metadata
InvalidGrantError invalid_grant
InvalidRedirectURIError invalid_redirect_uri
InvalidRequestError invalid_request
InvalidScopeError invalid_scope
InvalidTarget invalid_target
"""


def test_the_code_of_each_oauth_error() -> None:
    kinds: set[type[OAuth2Error]] = {
        value
        for module in MODULES
        if module.__name__.startswith("oauth.")
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, OAuth2Error) and value is not OAuth2Error
    }
    assert sorted(f"{kind.__name__} {kind.error}" for kind in kinds) == OAUTH_ERRORS.split("\n")[1:-1]


def test_the_oauth_code_of_a_status() -> None:
    """Any other status gets `invalid_request`."""
    assert CODES == {401: "invalid_client", 429: "slow_down", 503: "temporarily_unavailable"}
