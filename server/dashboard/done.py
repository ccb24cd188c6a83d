"""The messages that pages show after a form. The page's address names the message."""

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from server.dashboard.fields import whole_number
from server.plurals import count

DONE = {
    "added": "Memory added. Searches find it right away.",
    "examples-added": "Example memories added. They are tagged “example”: filter by that tag to delete them.",
    "upload-canceled": "Nothing was imported. The file is deleted.",
    "restored": "Memory restored.",
    "erased": "Memory deleted permanently.",
    "undone": "Undone for {}. Added memories are in the trash, changes are reverted, deleted memories are back.",
    "merged": "{} merged into the one that you kept. It now has all tags and people.",
    "pinned": "Pinned. Every conversation begins with it.",
    "unpinned": "Unpinned.",
    "version-restored": "Version restored. What it replaced stays in history.",
    "unchanged": "Nothing has changed, so there is no new version.",
    "saved": "Saved. The previous version stays in history.",
    "all-deleted": "{} deleted.",
    "selected-pin": "{} pinned. Every conversation begins with pinned memories.",
    "selected-unpin": "{} unpinned.",
    "selected-tag": "Tags added to {}.",
    "selected-move": "{} moved.",
    "selected-delete": "{} deleted. You can restore deleted memories from the trash.",
    "selected-restore": "{} restored.",
    "selected-erase": "{} deleted.",
    "key-revoked": "API key revoked. It no longer works.",
    "disconnected": "App disconnected. It no longer has access.",
    "view-saved": "View saved. You can find it above your memories.",
    "view-renamed": "View renamed.",
    "view-deleted": "View deleted. Its memories stay.",
    "project-saved": "Project saved.",
    "organization-renamed": "Organization renamed.",
    "key-renamed": "API key renamed.",
    "organization-created": "Organization created.",
    "organization-deleted": "Organization deleted, with all its projects and memories.",
    "project-created": "Project created.",
    "project-deleted": "Project deleted, with all its memories.",
    "transferred": "Ownership transferred. You are now an admin.",
    "role-changed": "Role changed. It takes effect immediately.",
    "member-added": "Member added.",
    "member-removed": "Member removed. Their API keys and connected apps no longer have access.",
    "left-organization": "You left the organization.",
    "left-project": "You left the project.",
    "invitation-canceled": "Invitation canceled. Its link no longer works.",
    "accepted": "Invitation accepted.",
    "declined": "Invitation declined.",
    "all-read": "All notifications marked as read.",
    "theme-saved": "Theme saved.",
    "time-format-saved": "Time format saved.",
    "account-deleted": "Your account is deleted, with your personal organization and its memories.",
    "name-saved": "Name saved.",
    "change-sent": "Check your new mailbox. Your address changes when you open the link in the email.",
    "password-saved": "Password changed. You are signed out everywhere else.",
    "passkey-added": "Passkey added. You can sign in with it from now on.",
    "passkey-deleted": "Passkey deleted. Remove it from your device too.",
    "two-factor-off": "Two-factor authentication is off.",
    "session-ended": "Signed out of that browser.",
    "verification-sent": "Email sent. Open the link in it to confirm your address.",
}
"""The messages that `?done=` can show. Any other value shows nothing, so that a link cannot put words on our pages.

`{}` is the number of memories that the address has as `count`.
"""

ALREADY_GONE = "the memories are already gone."
NOTHING_DONE = {
    "undone": "Nothing was undone: it was already undone, or others have changed these memories since.",
    "merged": f"Nothing was merged: {ALREADY_GONE}",
    "all-deleted": "Nothing was deleted: there are no such memories.",
    "selected-pin": f"Nothing was pinned: {ALREADY_GONE}",
    "selected-unpin": f"Nothing was unpinned: {ALREADY_GONE}",
    "selected-tag": f"No tags were added: {ALREADY_GONE}",
    "selected-move": f"Nothing was moved: {ALREADY_GONE}",
    "selected-restore": "Nothing was restored: the memories are no longer in the trash.",
    "selected-delete": f"Nothing was deleted: {ALREADY_GONE}",
    "selected-erase": f"Nothing was deleted: {ALREADY_GONE}",
}
"""The messages to show instead when the number is 0."""


PARAMETERS = ("done", "count", "invitations", "new", "deleted", "deleted_since", "deleted_until")
"""The parameters of an address that say what a form has done."""

LONGEST_POSITION = 4_000


def position(query: QueryParams) -> str:
    """Return the query of a page without what a form has done: which part of a list it shows, and where it was opened
    from. A form sends it on, so that its redirect returns there. A long one is left out, because each row of a list
    repeats it.
    """
    kept = urlencode([(name, value) for name, value in query.multi_items() if name not in PARAMETERS])
    return f"?{kept}" if 0 < len(kept) <= LONGEST_POSITION else ""


def done_message(query: Mapping[str, str]) -> str | None:
    """Return the message that an address asks for, with the number of canceled invitations in the address."""
    done = query.get("done", "")
    message = DONE.get(done)
    if message is not None and done in NOTHING_DONE:
        memories = whole_number(query.get("count", ""))
        message = message.format(count(memories, "memory", "memories")) if memories else NOTHING_DONE[done]
    invitations = whole_number(query.get("invitations", ""))
    if message is None or not invitations:
        return message
    were = "was" if invitations == 1 else "were"
    return f"{message} {count(invitations, 'pending invitation')} {were} canceled."
