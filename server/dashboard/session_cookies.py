"""The sign-in cookies: the session, the second step, and the mark of a browser that signed in to the account before."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.cookies import set_private_cookie
from server.domain.people import known_browsers, sessions
from server.domain.people.sessions import SignIn
from server.settings import Settings
from server.shell.runtime import State

SECOND_STEP = "/sign-in/verify"
STEP_COOKIE = "sign_in_step"


async def continue_sign_in(request: Request[State], result: SignIn, path: str, *, tell: bool = True) -> Response:
    """Redirect to `path` with the cookies of a new session, or to the second step, which then redirects to `path`."""
    if not result.needs_second_step:
        return await redirect_signed_in(request, result.value, path, tell=tell)
    response = RedirectResponse(f"{SECOND_STEP}?next={quote(path, safe='/')}", 303)
    set_step_cookie(response, request.state["runtime"].settings, result.value)
    return response


def set_step_cookie(response: Response, settings: Settings, value: str) -> None:
    """Remember in this browser that the password was correct. An empty `value` forgets it."""
    seconds = int(sessions.SECOND_STEP_TIME.total_seconds()) if value else 0
    set_private_cookie(response, settings, STEP_COOKIE, value, seconds, "/sign-in")


async def redirect_signed_in(request: Request[State], session_value: str, path: str, *, tell: bool = True) -> Response:
    """Redirect to `path` with the cookies of a new session."""
    return await with_session(request, RedirectResponse(path, 303), session_value, tell=tell)


async def with_session(
    request: Request[State], response: Response, session_value: str, *, tell: bool = True
) -> Response:
    """Return the response with the cookie of a new session, and make the browser known to the account.

    The user gets a letter about an unknown browser, unless `tell` is false because another letter mentions it.
    """
    runtime = request.state["runtime"]
    settings = runtime.settings
    name, value = await runtime.run(
        known_browsers.remember, settings, session_value, request.cookies, runtime.mailer, tell=tell
    )
    set_session_cookie(response, settings, session_value, settings.session_days * 24 * 3600)
    set_private_cookie(response, settings, name, value, int(known_browsers.LIFETIME.total_seconds()))
    return response


def set_session_cookie(response: Response, settings: Settings, value: str, seconds: int) -> None:
    """Set the session's cookie. If `seconds` is 0, the browser deletes it."""
    set_private_cookie(response, settings, settings.session_cookie, value, seconds)
