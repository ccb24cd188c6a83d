"""Templates to HTML: always escaped, a missing name is an error. What a form did is told from a fixed table."""

import functools
import json
from datetime import UTC, datetime

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from server.models.base import JSON

"""The Content-Security-Policy of every page: nothing inline, nobody else's."""

# What `?done=` may say; any other word says nothing, so that nobody can put words into our mouth.
DONE = {
    "added": "Memory added. The next search finds it.",
    "restored": "Memory put back. Its earlier versions are not kept.",
    "saved": "Saved. The version before is kept in the history.",
    "all-deleted": "All memories of the project are deleted.",
    "key-revoked": "Key revoked. It stopped working at once.",
    "disconnected": "App disconnected. Its access ended at once.",
    "organization-made": "Organization made.",
    "organization-deleted": "Organization deleted, with everything in it.",
    "project-made": "Project made.",
    "project-deleted": "Project deleted, with all its memories.",
    "transferred": "Ownership transferred. You are an admin now.",
    "role-changed": "Role changed. It counts from the next request.",
    "member-added": "Member added.",
    "member-removed": "Member removed. Their keys and apps lost access at once.",
    "left": "You left.",
    "invitation-cancelled": "Invitation cancelled. Its link no longer works.",
    "accepted": "Invitation accepted.",
    "declined": "Invitation declined.",
    "all-read": "All notifications are read.",
    "name-saved": "Name saved.",
    "password-saved": "Password changed. You were signed out everywhere else.",
    "session-ended": "Signed out there.",
    "verification-sent": "Look into your mailbox: the link is on its way.",
}


def render(template: str, context: dict[str, object]) -> str:
    """The page as text. CPU only, some milliseconds: call it on a worker thread."""
    return _environment().get_template(template).render(context)


def moment(value: datetime | None, never: str = "never") -> Markup | str:
    """A time in UTC that says so; a script puts it into the reader's zone."""
    if value is None:
        return never
    value = value.astimezone(UTC)
    form = Markup('<time datetime="{}">{} {:%b %Y, %H:%M} UTC</time>')
    return form.format(value.strftime("%Y-%m-%dT%H:%M:%SZ"), value.day, value)


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 memory`, `12,000 memories`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def pretty(value: JSON) -> str:
    """JSON for reading and editing."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def shown(value: JSON) -> str:
    """A metadata value on one line: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS", "macOS"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser(agent: str) -> str:
    """A User-Agent in words that a person recognises; its beginning when it is of no kind that is known."""
    name = next((words for mark, words in BROWSERS if mark in agent), None)
    system = next((words for mark, words in SYSTEMS if mark in agent), None)
    if name is None:
        return agent[:60] or "Unknown browser"
    return f"{name} on {system}" if system else name


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("server.dashboard"), PackageLoader("server")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": moment, "count": count, "pretty": pretty, "shown": shown, "browser": browser,
    }  # fmt: skip
    return environment
