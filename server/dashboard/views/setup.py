"""The first page of a new server: create the first account. Later it redirects to the sign-in page."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.views.entrance import SETUP_PAGE, render_page
from server.domain.people import users
from server.runtime import State


async def show(request: Request[State]) -> Response:
    """Show the form. It posts to /sign-up, so the rules of sign-up apply to the first account too."""
    if await request.state["runtime"].read(users.has_any):
        return RedirectResponse("/sign-in", 303)
    return await render_page(request, SETUP_PAGE)
