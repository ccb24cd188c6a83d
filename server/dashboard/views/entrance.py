"""The pages for people who are not signed in: sign-up, sign-in, sign-out, forgotten passwords, and invitations."""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from server.dashboard.done import done_message
from server.dashboard.pages import HOME, SETUP, redirect
from server.dashboard.rendering import render
from server.dashboard.session_cookies import continue_sign_in, redirect_signed_in, set_session_cookie
from server.dashboard.sign_in_ways import ways_of
from server.domain import accounts, names
from server.domain.accounts import SignUp
from server.domain.people import passwords, sessions, users
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import invitation_answers
from server.errors import Forbidden, Invalid, ServiceError, Unauthenticated, Unavailable
from server.network.urls import is_local_path
from server.shell.runtime import Call, Runtime, State
from server.web import attempts, csp, wire
from server.web.dispatch import Handler, Methods
from server.web.request_credentials import credential_of, require_same_origin, session_cookie_of
from server.web.statuses import answered, log_reason

SETUP_PAGE = "setup.html"
FORM_BYTES = 64_000
MAX_FIELDS = 20
WRONG_CREDENTIALS = "Incorrect email address or password."

REASONS = {
    "/oauth/authorize": "An app asks for access to your memories. Sign in to decide.",
    "/accept-invitation/": "Sign in to answer your invitation.",
}
"""Why a person who was redirected here has to sign in, by destination."""

SWITCH = "switch"
"""With this parameter, the forms are shown to a person who is signed in, who wants to use another account."""

Fields = Mapping[str, str]


async def show_setup(request: Request[State]) -> Response:
    """Show the form for the first account of a new server, and later the sign-in page. The form posts to /sign-up, so
    the rules of sign-up apply to the first account too.
    """
    if await request.state["runtime"].read(users.has_any):
        return RedirectResponse("/sign-in", 303)
    return await render_page(request, SETUP_PAGE)


async def show_sign_up(request: Request[State]) -> Response:
    return await _page_unless_signed_in(request, "sign_up.html")


async def sign_up(request: Request[State]) -> Response:
    """Create an account and sign in."""
    fields = await read_form(request)
    runtime = request.state["runtime"]
    new_account = SignUp(fields.get("email", ""), fields.get("name", ""), fields.get("password", ""))
    try:
        new_account.require_valid()
        await attempts.count_sign_up(request)
        browser_info = browser_info_of(request)
        session_value = await runtime.run(
            accounts.sign_up, runtime.settings.sign_up, new_account, browser_info, runtime.mailer
        )
    except ServiceError as error:
        is_new_server = not await runtime.read(users.has_any)
        return await render_page(request, SETUP_PAGE if is_new_server else "sign_up.html", error, fields)
    return await redirect_signed_in(request, session_value, next_of(request, fields), tell=False)


async def show_sign_in(request: Request[State]) -> Response:
    return await _page_unless_signed_in(request, "sign_in.html")


async def sign_in(request: Request[State]) -> Response:
    """Sign in and redirect to `next`. A wrong password and an unknown address get the same answer."""
    fields = await read_form(request)
    runtime = request.state["runtime"]
    email, password = fields.get("email", ""), fields.get("password", "")
    try:
        async with attempts.signing_in(request, email):
            result = await runtime.run(sessions.sign_in, email, password, browser_info_of(request))
            if result is None:
                raise Unauthenticated(WRONG_CREDENTIALS)
    except ServiceError as error:
        return await render_page(request, "sign_in.html", error, fields)
    return await continue_sign_in(request, result, next_of(request, fields))


async def sign_out(request: Request[State]) -> Response:
    """End the session on the server and delete its cookie."""
    runtime = request.state["runtime"]
    require_same_origin(request, runtime.settings)
    session_value = session_cookie_of(request, runtime.settings)
    if session_value:
        await runtime.run(sessions.sign_out, session_value)
    response = RedirectResponse("/sign-in", 303)
    set_session_cookie(response, runtime.settings, "", 0)
    return response


async def show_forgot_password(request: Request[State]) -> Response:
    return await render_page(request, "forgot_password.html", sent=False)


async def forgot_password(request: Request[State]) -> Response:
    """Send a link if the address has an account.

    The answer is the same for every address, and the account is looked up after the response is sent, so that response
    time reveals nothing.
    """
    fields = await read_form(request)
    runtime, email = request.state["runtime"], fields.get("email", "")
    try:
        names.parse_email(email)
        await attempts.count_reset_form(request)
    except ServiceError as error:
        return await render_page(request, "forgot_password.html", error, fields, sent=False)
    response = await render_page(request, "forgot_password.html", fields=fields, sent=True)
    response.background = BackgroundTask(_mail_reset_link, runtime, email)
    return response


async def _mail_reset_link(runtime: Runtime, email: str) -> None:
    """Mail the link. The response has been sent, so only the log can tell of an outage."""
    try:
        await runtime.run(passwords.mail_reset_link, email, runtime.mailer)
    except Unavailable as error:
        log_reason(error)


async def show_accept_invitation(request: Request[State]) -> Response:
    """Show the invitation. If nobody is signed in, add links that sign in and come back."""
    token = request.path_params["token"]
    offer = await request.state["runtime"].read(invitation_answers.show, None, token)
    call = await call_of(request)
    user = await call.read(users.me) if call else None
    return await render_page(request, "accept_invitation.html", offer=offer, user=user, token=token)


async def accept_invitation(request: Request[State]) -> Response:
    fields = await read_form(request)
    call = await call_of(request)
    if call is None:
        return RedirectResponse(f"/sign-in{query_for(request.url.path)}", 303)
    if fields.get("decision") == "decline":
        await call.run(invitation_answers.decline, request.path_params["token"])
        return redirect(HOME, "declined")
    accepted = await call.run(invitation_answers.accept, request.path_params["token"])
    return redirect(f"{HOME}/organizations/{accepted.organization.id}/projects", "accepted")


async def read_form(request: Request[State]) -> Fields:
    """Return the last value of each field.

    Raises Forbidden for a form from another site, and the errors of `wire.read_form`.
    """
    require_same_origin(request, request.state["runtime"].settings)
    fields = await wire.read_form(request, FORM_BYTES, MAX_FIELDS)
    return {name: values[-1] for name, values in fields.items()}


def next_of(request: Request[State], fields: Fields) -> str:
    return local_path(fields.get("next") or request.query_params.get("next", ""))


def local_path(text: str) -> str:
    """Return `text` if it is a path on this site, else the dashboard's path."""
    return text if is_local_path(text) else HOME


def browser_info_of(request: Request[State]) -> BrowserInfo:
    settings = request.state["runtime"].settings
    agent = request.headers.get("user-agent", "")
    return BrowserInfo(settings.session_days, agent, session_cookie_of(request, settings))


async def call_of(request: Request[State]) -> Call | None:
    """Return the call of the person who is signed in, or None."""
    runtime = request.state["runtime"]
    try:
        principal = await runtime.authenticate(credential_of(request, runtime.settings))
    except (Unauthenticated, Forbidden):
        return None
    return Call(runtime, principal) if principal.is_session else None


async def _page_unless_signed_in(request: Request[State], template: str) -> Response:
    """Show the form. Where invited addresses alone may sign up, say so, unless the first account is to be created."""
    if SWITCH not in request.query_params and await call_of(request) is not None:
        return RedirectResponse(next_of(request, {}), 303)
    runtime = request.state["runtime"]
    is_by_invitation = runtime.settings.sign_up == "invited" and await runtime.read(users.has_any)
    return await render_page(request, template, is_by_invitation=is_by_invitation)


def query_for(path: str, *, switches: bool = False) -> str:
    """Return the query with which the forms and links of a page lead to `path`, perhaps with another account."""
    parts = [f"next={quote(path, safe='/')}"] if path != HOME else []
    parts += [f"{SWITCH}=1"] if switches else []
    return f"?{'&'.join(parts)}" if parts else ""


async def render_page(
    request: Request[State],
    template: str,
    problem: ServiceError | None = None,
    fields: Fields | None = None,
    **values: object,
) -> HTMLResponse:
    """Return the page. After a refusal it shows the reason next to its field, and the user's input except passwords."""
    runtime = request.state["runtime"]
    field_errors = {}
    if isinstance(problem, Invalid) and problem.field:
        field_errors = {problem.field: problem.reason[:1].upper() + problem.reason[1:]}
    known = {"email": request.query_params.get("email", ""), "name": ""}
    typed = known | {name: value for name, value in (fields or {}).items() if name != "password"}
    path = next_of(request, fields or {})
    ways = ways_of(request, template)
    context = {
        "ways": ways,
        "problem": problem.detail if problem and not field_errors else None,
        "errors": field_errors,
        "typed": typed,
        "query": query_for(path, switches=SWITCH in request.query_params),
        "reason": next((reason for start, reason in REASONS.items() if path.startswith(start)), None),
        "is_by_invitation": runtime.settings.sign_up == "invited",
        "may_sign_up": runtime.settings.sign_up != "closed",
        "done": done_message(request.query_params),
        "sends_mail": runtime.mailer.is_on,
    }
    html = await runtime.in_thread(render, template, context | values)
    status, headers = answered(problem)
    response = HTMLResponse(html, status, {"Content-Security-Policy": csp.FLOW} | headers)
    ways.remember(response, runtime)
    return response


def form_route(path: str, show: Handler, submit: Handler) -> Route:
    return Route(path, Methods({"GET": show, "POST": submit}))


ROUTES = [
    Route(SETUP, show_setup, methods=["GET"]),
    form_route("/sign-up", show_sign_up, sign_up),
    form_route("/sign-in", show_sign_in, sign_in),
    Route("/sign-out", sign_out, methods=["POST"]),
    form_route("/forgot-password", show_forgot_password, forgot_password),
    form_route("/accept-invitation/{token}", show_accept_invitation, accept_invitation),
]
