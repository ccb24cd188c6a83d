"""The cookies of signing in: the session, and the step before it."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domain.people import sessions
from server.domain.people.sessions import SignIn
from server.runtime import State
from server.settings import Settings

SECOND_STEP = "/sign-in/verify"
STEP_COOKIE = "sign_in_step"


def go_on(request: Request[State], result: SignIn, path: str) -> Response:
    """Redirect to `path` with the cookie of a new session, or to the second step, which leads there."""
    if not result.needs_second_step:
        return signed_in(request, result.value, path)
    response = RedirectResponse(f"{SECOND_STEP}?next={quote(path, safe='/')}", 303)
    set_step_cookie(response, request.state["runtime"].settings, result.value)
    return response


def set_step_cookie(response: Response, settings: Settings, value: str) -> None:
    """Remember in this browser that the password was right. An empty `value` forgets it."""
    response.set_cookie(
        STEP_COOKIE,
        value,
        max_age=int(sessions.SECOND_STEP_TIME.total_seconds()) if value else 0,
        path="/sign-in",
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


def signed_in(request: Request[State], session_value: str, path: str) -> Response:
    """Redirect to `path` with the cookie of a new session."""
    runtime = request.state["runtime"]
    response = RedirectResponse(path, 303)
    set_session_cookie(response, runtime.settings, session_value, runtime.settings.session_days * 24 * 3600)
    return response


def set_session_cookie(response: Response, settings: Settings, value: str, seconds: int) -> None:
    """Set the session's cookie. With 0 `seconds` the browser deletes it."""
    response.set_cookie(
        settings.session_cookie,
        value,
        max_age=seconds,
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",  # type: ignore[arg-type]  # as RFC 6265bis spells it
    )
