"""The titles of events of the audit trail, for the account page and the pages of organizations."""

from server.domain.audit import Event

TITLES: dict[str, str] = {
    Event.SIGNED_UP: "Account created",
    Event.SIGN_IN_FAILED: "Sign-in failed",
    Event.EMAIL_VERIFIED: "Email address confirmed",
    Event.EMAIL_CHANGE_REQUESTED: "Change of email address requested",
    Event.EMAIL_CHANGED: "Email address changed",
    Event.SESSION_REVOKED: "Signed out of another browser",
    Event.IDENTITY_JOINED: "Sign-in provider connected",
    Event.SECOND_FACTOR_ADDED: "Two-factor authentication turned on",
    Event.SECOND_FACTOR_REMOVED: "Two-factor authentication turned off",
    Event.SECOND_FACTOR_FAILED: "Wrong two-factor code",
    Event.STEP_UP_FAILED: "Wrong password or code before a sensitive change",
    Event.INVITATION_CANCELLED: "Invitation canceled",
    Event.KEY_CREATED: "API key created",
    Event.KEY_RENAMED: "API key renamed",
    Event.KEY_DELETED: "API key revoked",
    Event.ACCESS_GRANTED: "App connected",
    Event.ACCESS_DENIED: "App denied",
    Event.ACCESS_DISCONNECTED: "App disconnected",
    Event.TOKEN_REVOKED: "App signed out",
    Event.TOKEN_REUSED: "App disconnected, because an old token was used again",
    Event.TOKEN_REPEATED: "App used an old token",
    Event.TOKEN_REFUSED: "App has to sign in again",
    Event.CODE_REFUSED: "App could not connect",
}
"""Titles that cannot be derived from the event's type."""


def event_title(event_type: str) -> str:
    """Return the event's title for people, such as `Password changed`."""
    words = event_type.removeprefix("account.").replace(".", " ").replace("_", " ")
    return TITLES.get(event_type) or words.capitalize()
