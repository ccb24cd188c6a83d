"""The errors that callers see. `server.web.statuses.STATUS` gives each its HTTP status.

ServiceError
├── Invalid            the request is malformed; names the field
│   └── Unsupported    the media type of the body is not supported
├── Unauthenticated    no credential, or one that is not valid
├── Forbidden          the caller is known but has no permission
│   ├── InsufficientScope   the credential lacks a scope; its user may have the permission
│   └── WrongAddress   a form from one of our pages that was opened at an address other than PUBLIC_URL
├── NotFound           does not exist, or the caller may not see it: the answer is the same
├── Conflict           valid, but contradicts stored state
├── Gone               existed and has ended
├── TooLarge           exceeds the size limit of a request
├── TooSlow            the request body arrived too slowly
├── QuotaExceeded      the project is full: says how full, and what to do
├── RateLimited        too many requests; says when to try again
└── Unavailable        cannot be done now; nothing was changed. Also a model that fails or is closed
    └── MaybeStored    unknown outcome: the database did not confirm the change, or failed before all could be found
"""

import math
from collections.abc import Sequence

from server.plurals import count


class ServiceError(Exception):
    """An error that a caller sees. `detail` is one sentence and never holds a secret.

    `title` is the heading of its page, and `advice` what the page says instead of `detail`, if anything.
    """

    sentence = "The request failed."
    title = "Something went wrong"
    advice = ""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.sentence
        super().__init__(self.detail)


class Invalid(ServiceError):
    """`field` is the path of the field at fault, if there is one; `reason` says what is wrong. `detail` joins both."""

    sentence = "The request is not valid."

    def __init__(self, reason: str | None = None, *, field: str | None = None) -> None:
        self.reason = reason or self.sentence
        self.field = field
        super().__init__(f"{field}: {self.reason}" if field else self.reason)


class Unsupported(Invalid):
    sentence = "Send the body as application/json."


class Unauthenticated(ServiceError):
    """`reason` and `credential_id` say in the log why a credential was refused, and which one. The caller gets the same
    sentence for every reason. A request without a credential has no reason.
    """

    sentence = (
        "Authentication is required. Send a valid API key or access token as Authorization: Bearer KEY, an API key as "
        "X-API-Key: KEY, or a session as Authorization: Session SESSION."
    )
    reason = ""

    def __init__(self, detail: str | None = None, *, reason: str = "", credential_id: str = "") -> None:
        super().__init__(detail)
        self.reason = reason or self.reason
        self.credential_id = credential_id


class Forbidden(ServiceError):
    sentence = "Your role does not allow this."
    title = "Permission denied"


class InsufficientScope(Forbidden):
    """`needed` lists the scopes that are required, for the challenge (RFC 6750 section 3.1)."""

    def __init__(self, needed: Sequence[str]) -> None:
        super().__init__("This credential lacks a permission: it needs " + " and ".join(needed) + ".")
        self.needed = tuple(needed)


class WrongAddress(Forbidden):
    """The page was not opened at PUBLIC_URL. `right` is PUBLIC_URL."""

    title = "Wrong address"

    def __init__(self, opened: str, right: str) -> None:
        super().__init__(
            f"This page was opened at {opened}, but the address of this server is {right}: open it there. "
            f"If {opened} is right, set SELFMEMORY_PUBLIC_URL to it."
        )
        self.right = right


class NotFound(ServiceError):
    sentence = "Not found."
    title = "Page not found"
    advice = "This page does not exist, or you don’t have access to it."


class Conflict(ServiceError):
    sentence = "This conflicts with stored data."


class Gone(ServiceError):
    sentence = "This has ended."
    title = "No longer available"


class TooLarge(ServiceError):
    sentence = "The request is too large."


class QuotaExceeded(ServiceError):
    sentence = "This project is full: delete memories, or ask the administrator of this server to raise its quota."


class TooSlow(ServiceError):
    sentence = "The request body arrived too slowly. Try again on a faster connection."


def _wait(seconds: int) -> str:
    """Return the time in the largest unit of which it has at least two."""
    units = (("hour", 3600), ("minute", 60))
    unit, length = next(((unit, length) for unit, length in units if seconds >= 2 * length), ("second", 1))
    return count(math.ceil(seconds / length), unit)


class RateLimited(ServiceError):
    """`retry_after` is in seconds, at least one. `limit` names the limit in the log."""

    title = "Too many requests"

    def __init__(self, retry_after: int, limit: str) -> None:
        super().__init__(f"Too many requests: try again in {_wait(retry_after)}.")
        self.retry_after = retry_after
        self.limit = limit


class Unavailable(ServiceError):
    sentence = "The server cannot do this now; nothing was changed. Try again."
    title = "Temporarily unavailable"


class MaybeStored(Unavailable):
    sentence = (
        "The database did not confirm this: it may have been stored. Check before you send it again, or send it again "
        "with the same Idempotency-Key."
    )
