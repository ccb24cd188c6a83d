"""The status and headers of a failure, for every door: Retry-After, and the challenge of RFC 6750 section 3."""

import logging

from server import errors
from server.principal import Scope
from server.settings import Settings
from server.storage.database_failures import why_unavailable

log = logging.getLogger(__name__)

METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
EVERYDAY_SCOPES = (Scope.READ, Scope.WRITE)

STATUS: dict[type[errors.ServiceError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.QuotaExceeded: 403,
    errors.NotFound: 404,
    errors.TooSlow: 408,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}


def status_of(error: errors.ServiceError) -> int:
    """Return the status of the error's nearest class in `STATUS`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answered(problem: errors.ServiceError | None) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of an answer: Retry-After for a problem that goes away with time. Log why.

    Every door over HTTP calls this once for each answer that may tell of a problem.
    """
    if problem is None:
        return 200, {}
    log_reason(problem)
    headers = {}
    if isinstance(problem, errors.RateLimited):
        headers = {"Retry-After": str(problem.retry_after)}
    elif isinstance(problem, errors.Unavailable):
        headers = {"Retry-After": "1"}
    return status_of(problem), headers


def log_reason(problem: errors.ServiceError) -> None:
    """Log in one line what the answer does not say of an outage, a used-up limit or a refused credential."""
    if isinstance(problem, errors.Unavailable):
        log.warning("unavailable", extra={"reason": why_unavailable(problem)})
    elif isinstance(problem, errors.RateLimited):
        log.info("rate limited", extra={"limit": problem.limit})
    elif isinstance(problem, errors.Unauthenticated) and problem.reason:
        which = {"credential_id": problem.credential_id} if problem.credential_id else {}
        log.info("credential refused", extra={"reason": problem.reason, **which})


def challenge(settings: Settings, error: errors.ServiceError) -> str | None:
    """Return the value of WWW-Authenticate, or None when another credential would not help.

    A request without a credential gets no error code (RFC 6750 section 3.1). Its challenge names the usual scopes,
    because some clients cannot ask for more later.
    """
    scopes: tuple[str, ...]
    if isinstance(error, errors.Unauthenticated):
        code, scopes = ("invalid_token" if error.reason else None), EVERYDAY_SCOPES
    elif isinstance(error, errors.InsufficientScope):
        code, scopes = "insufficient_scope", error.needed
    else:
        return None
    error_fields = f'error="{code}", error_description="{error.detail}", ' if code else ""
    return f'Bearer {error_fields}resource_metadata="{settings.public_url}{METADATA_PATH}", scope="{" ".join(scopes)}"'
