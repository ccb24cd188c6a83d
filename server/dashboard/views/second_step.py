"""The second step of signing in: a code from the authenticator app, or a recovery code."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from server.dashboard.session_cookies import SECOND_STEP, STEP_COOKIE, redirect_signed_in, set_step_cookie
from server.dashboard.views.entrance import browser_info_of, call_of, next_of, query_for, read_form, render_page
from server.domain.people import sessions
from server.errors import ServiceError, Unauthenticated
from server.shell.runtime import State
from server.web import attempts
from server.web.dispatch import Methods

WRONG_CODE = "This code is incorrect or was already used. Wait for the next code in your app."


async def show(request: Request[State]) -> Response:
    """Show the form, even to a person who is signed in: they entered the password of another account."""
    path, step = next_of(request, {}), request.cookies.get(STEP_COOKIE, "")
    if await request.state["runtime"].read(sessions.second_step_of, step) is not None:
        return await _page(request, path)
    return RedirectResponse(path, 303) if await call_of(request) is not None else _to_sign_in(request, path)


async def verify(request: Request[State]) -> Response:
    """Sign in and redirect to `next`. If the step has ended, redirect to the password form."""
    fields = await read_form(request)
    runtime, path, step = request.state["runtime"], next_of(request, fields), request.cookies.get(STEP_COOKIE, "")
    user = await runtime.read(sessions.second_step_of, step)
    if user is None:
        return _to_sign_in(request, path)
    try:
        async with attempts.signing_in(request, user.email or ""):
            code, browser = fields.get("code", ""), browser_info_of(request)
            result = await runtime.run(
                sessions.take_second_step, step, code, browser, runtime.second_factor_seal, runtime.mailer
            )
            if result is None:
                raise Unauthenticated(WRONG_CODE)
    except ServiceError as error:
        return await _page(request, path, error)
    response = await redirect_signed_in(request, result.value, path)
    set_step_cookie(response, runtime.settings, "")
    return response


def _to_sign_in(request: Request[State], path: str) -> Response:
    response = RedirectResponse(f"/sign-in{query_for(path)}", 303)
    set_step_cookie(response, request.state["runtime"].settings, "")
    return response


async def _page(request: Request[State], path: str, problem: ServiceError | None = None) -> Response:
    return await render_page(request, "second_step.html", problem, query=query_for(path, switches=True))


ROUTES = [Route(SECOND_STEP, Methods({"GET": show, "POST": verify}))]
