"""The first page of a new server: create the first account. Later it redirects to the sign-in page."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from server import csp
from server.dashboard.rendering import render
from server.domain.people import users
from server.runtime import State


async def show(request: Request[State]) -> Response:
    """Show the form. It posts to /sign-up, whose rules apply to the first account too."""
    runtime = request.state["runtime"]
    if await runtime.read(users.has_any):
        return RedirectResponse("/sign-in", 303)
    html = await runtime.in_thread(render, "setup.html", {"settings": runtime.settings})
    return HTMLResponse(html, headers={"Content-Security-Policy": csp.FLOW})
