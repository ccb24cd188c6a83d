"""Renders templates to HTML. Values are always escaped, and an unknown name is an error."""

import functools
import json
from collections.abc import Mapping

from jinja2 import Environment
from starlette.responses import HTMLResponse

from server import csp, templating
from server.dashboard.dates import ago, moment
from server.dashboard.markdown import to_html
from server.models.base import JSON

DONE = {
    "added": "Memory added. Searches find it right away.",
    "examples-added": "Example memories added. They are tagged “example”: filter by that tag to delete them.",
    "upload-canceled": "Nothing was imported. The file is deleted.",
    "restored": "Memory restored.",
    "erased": "Memory deleted for good.",
    "undone": "Undone. Added memories are in the trash, changes are reverted, deleted memories are back.",
    "merged": "Merged. The memory that you kept has all tags and people.",
    "pinned": "Pinned. Every conversation begins with it.",
    "unpinned": "Unpinned.",
    "version-restored": "Version restored. What it replaced stays in history.",
    "saved": "Saved. The previous version stays in history.",
    "all-deleted": "Memories deleted.",
    "selected-pin": "Memories pinned. Every conversation begins with them.",
    "selected-unpin": "Memories unpinned.",
    "selected-tag": "Tags added.",
    "selected-move": "Memories moved.",
    "selected-delete": "Memories deleted. You can restore them from the trash, unless this project has none.",
    "key-revoked": "API key revoked. It no longer works.",
    "disconnected": "App disconnected. It no longer has access.",
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
    "name-saved": "Name saved.",
    "password-saved": "Password changed. You are signed out everywhere else.",
    "passkey-added": "Passkey added. You can sign in with it from now on.",
    "passkey-deleted": "Passkey deleted. Remove it from your device too.",
    "two-factor-off": "Two-factor authentication is off.",
    "session-ended": "Signed out of that browser.",
    "verification-sent": "Email sent. Open the link in it to confirm your address.",
}
"""The messages that `?done=` can show. Any other value shows nothing, so that a link cannot put words on our pages."""


MAX_DIGITS = 4


def done_message(query: Mapping[str, str]) -> str | None:
    """Return the message that an address asks for, with the number of canceled invitations in the address."""
    message = DONE.get(query.get("done", ""))
    digits = query.get("invitations", "")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= MAX_DIGITS
    number = int(digits) if is_number else 0
    if message is None or number == 0:
        return message
    return f"{message} {count(number, 'pending invitation')} {'was' if number == 1 else 'were'} canceled."


def render(template: str, context: dict[str, object]) -> str:
    """Return the page as HTML. Takes some milliseconds of CPU: call it on a worker thread."""
    return _environment().get_template(template).render(context)


def problem_page(
    status: int, problem: str, headers: Mapping[str, str] | None = None, right_address: str | None = None
) -> HTMLResponse:
    """Return an error page without navigation. `right_address` is PUBLIC_URL if the page was opened somewhere else."""
    context = {"problem": problem, "status": status, "right_address": right_address}
    html = render("problem.html", {**context, "frame": None, "current": None, "done": None})
    return HTMLResponse(html, status, {"Content-Security-Policy": csp.DASHBOARD, **(headers or {})})


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return `1 memory`, `12,000 memories`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def pretty(value: JSON) -> str:
    """Return indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def one_line(value: JSON) -> str:
    """Return text unchanged, and any other metadata value as JSON on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS", "macOS"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
UNKNOWN_AGENT_LENGTH = 60


def browser(agent: str) -> str:
    """Return a User-Agent as browser and system (`Firefox on Linux`), or its beginning if the browser is unknown."""
    name = next((name for mark, name in BROWSERS if mark in agent), None)
    system = next((name for mark, name in SYSTEMS if mark in agent), None)
    if name is None:
        return agent[:UNKNOWN_AGENT_LENGTH] or "Unknown browser"
    return f"{name} on {system}" if system else name


@functools.cache
def _environment() -> Environment:
    environment = templating.environment("server.dashboard", "server")
    environment.filters |= {
        "moment": moment, "ago": ago, "markdown": to_html, "count": count, "pretty": pretty, "one_line": one_line,
        "browser": browser,
    }  # fmt: skip
    return environment
