"""Renders templates to HTML. Values are always escaped, and an unknown name is an error."""

import functools
import json
from collections.abc import Mapping, Sequence

from jinja2 import Environment
from jinja2.filters import do_filesizeformat
from starlette.responses import HTMLResponse

from server.dashboard.dates import ago, moment
from server.dashboard.markdown import to_html
from server.domain.memory.labels import as_text
from server.errors import ServiceError
from server.machine.own_command import shown_command
from server.models.base import JSON
from server.plurals import count, with_article
from server.web import csp, templating


def render(template: str, context: dict[str, object]) -> str:
    """Return the page as HTML. Takes some milliseconds of CPU: call it on a worker thread."""
    return _environment().get_template(template).render(context)


def problem_page(status: int, error: ServiceError, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return an error page without navigation."""
    html = render("problem.html", {"error": error, "problem": error.detail, "frame": None, "current": None})
    return HTMLResponse(html, status, {"Content-Security-Policy": csp.DASHBOARD, **(headers or {})})


def signed_out_page(text: str, fields: Sequence[tuple[str, str]], address: str) -> HTMLResponse:
    """Return the page that keeps a text, and the form that sends `fields` to `address` again after signing in."""
    context = {"text": text, "fields": fields, "address": address}
    html = render("signed_out.html", {**context, "frame": None, "current": None})
    return HTMLResponse(html, 401, {"Content-Security-Policy": csp.DASHBOARD})


def one_line(value: JSON) -> str:
    """Return text unchanged, a list of texts with commas, and any other metadata value as JSON on one line."""
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return ", ".join(map(str, value))
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


def byte_size(number: int) -> str:
    """Return `1 byte`, `0 bytes`, `1.5 kB`."""
    return do_filesizeformat(number).replace("Byte", "byte")


@functools.cache
def _environment() -> Environment:
    environment = templating.environment("server.dashboard", "server")
    environment.filters |= {
        "moment": moment, "ago": ago, "markdown": to_html, "count": count, "one_line": one_line, "browser": browser,
        "as_text": as_text, "with_article": with_article, "byte_size": byte_size,
    }  # fmt: skip
    environment.globals["command"] = shown_command
    return environment
