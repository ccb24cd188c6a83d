"""The WWW-Authenticate challenge that every door sends with a 401 or a scope's 403 (RFC 6750 section 3, RFC 9728)."""

from server.errors import InsufficientScope, ServiceError, Unauthenticated
from server.principal import Scope
from server.settings import Settings

METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
EVERYDAY_SCOPES = (Scope.READ, Scope.WRITE)


def challenge(settings: Settings, error: ServiceError) -> str | None:
    """The header's value, or None for an error that no other credential would mend.

    Without a credential there is no error code; the first challenge names the everyday scopes, since some clients
    cannot ask for more later.
    """
    scopes: tuple[str, ...]
    if isinstance(error, Unauthenticated):
        code, scopes = ("invalid_token" if error.presented else None), EVERYDAY_SCOPES
    elif isinstance(error, InsufficientScope):
        code, scopes = "insufficient_scope", error.needed
    else:
        return None
    named = f'error="{code}", error_description="{error.detail}", ' if code else ""
    return f'Bearer {named}resource_metadata="{settings.public_url}{METADATA_PATH}", scope="{" ".join(scopes)}"'
