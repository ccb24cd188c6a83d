"""The cookies of signing in: the session, and the step before it."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domain.people.sessions import SignIn
from server.runtime import State
from server.settings import Settings


def go_on(request: Request[State], result: SignIn, path: str) -> Response:
    """Redirect to `path` with the cookie of a new session."""
    return signed_in(request, result.value, path)


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
