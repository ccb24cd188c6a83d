"""The cookies of signing in: the session, and the mark of a browser that is known to the account."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domain.people import known_browsers
from server.runtime import State
from server.settings import Settings


async def signed_in(request: Request[State], session_value: str, path: str, *, tell: bool = True) -> Response:
    """Redirect to `path` with the cookie of a new session, and make the browser known to the account.

    The user gets a letter about an unknown browser, unless `tell` is false because another letter tells of it.
    """
    runtime = request.state["runtime"]
    settings = runtime.settings
    cookie = await runtime.run(
        known_browsers.remember, settings, session_value, request.cookies, runtime.mailer, tell=tell
    )
    response = RedirectResponse(path, 303)
    set_session_cookie(response, settings, session_value, settings.session_days * 24 * 3600)
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=int(known_browsers.LIFETIME.total_seconds()),
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",  # type: ignore[arg-type]  # the same
    )
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
