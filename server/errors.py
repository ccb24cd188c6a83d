"""Every failure that a caller may be told about. Each door keeps one table from this tree to its own answers.

ServiceError
├── Invalid            the request breaks a rule of form; the sentence names the field
│   └── Unsupported    the body's media type is not one that is read here
├── Unauthenticated    no credential, or one that does not count (any more)
├── Forbidden          known, but may not
│   └── InsufficientScope   the credential was not given this right, its user may have it
├── NotFound           not there, or not to be seen: the same answer
├── Conflict           true as the request may be, it contradicts what is stored
├── Gone               was there and has ended
├── TooLarge           more than is taken in one request
├── RateLimited        too often; says when to come back
└── Unavailable        cannot be done now, nothing was changed
"""

from collections.abc import Sequence


class ServiceError(Exception):
    """A failure with one sentence for the caller; `detail` never holds a secret."""

    sentence = "The request failed."

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or self.sentence
        super().__init__(self.detail)


class Invalid(ServiceError):
    """`field` is the path of the field at fault, if one is; `reason` says what to do. `detail` joins them."""

    sentence = "The request is not valid."

    def __init__(self, reason: str | None = None, *, field: str | None = None) -> None:
        self.reason, self.field = reason or self.sentence, field
        super().__init__(f"{field}: {self.reason}" if field else self.reason)


class Unsupported(Invalid):
    sentence = "Send the body as application/json."


class Unauthenticated(ServiceError):
    """`presented` tells a challenge whether there was a credential to call invalid (RFC 6750 section 3.1)."""

    sentence = "Authentication is required: send a valid API key, access token or session."

    def __init__(self, detail: str | None = None, *, presented: bool = False) -> None:
        super().__init__(detail)
        self.presented = presented


class Forbidden(ServiceError):
    sentence = "Your role does not allow this."


class InsufficientScope(Forbidden):
    """`needed` are the scopes that would do, for the challenge (RFC 6750 section 3.1)."""

    def __init__(self, needed: Sequence[str]) -> None:
        super().__init__("This credential may not do that: it needs " + " and ".join(needed) + ".")
        self.needed = tuple(needed)


class NotFound(ServiceError):
    sentence = "Not found."


class Conflict(ServiceError):
    sentence = "That conflicts with what is stored."


class Gone(ServiceError):
    sentence = "This has ended."


class TooLarge(ServiceError):
    sentence = "The request is too large."


class RateLimited(ServiceError):
    """`retry_after` is whole seconds, at least one."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many requests: try again in {retry_after} seconds.")
        self.retry_after = retry_after


class Unavailable(ServiceError):
    sentence = "The server cannot do this now; nothing was changed. Try again."
