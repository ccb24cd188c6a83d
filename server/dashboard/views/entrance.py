"""The pages before one is in: signing up, in and out, and the links that letters carry. Plain forms, no script."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from server import csp, wire
from server.dashboard.pages import HOME, go
from server.dashboard.rendering import render
from server.domain import accounts, names
from server.domain.accounts import SignUp
from server.domain.people import passwords, sessions, users
from server.domain.people.passwords import LinkEnded
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import invitation_answers
from server.errors import Forbidden, Invalid, RateLimited, ServiceError, Unauthenticated
from server.hashing import token_hash
from server.limits import Bucket
from server.request_credentials import address_of, credential_of, require_same_origin
from server.runtime import Call, Runtime, State
from server.statuses import status_of

FORM_LIMIT = 64_000
MOST_FIELDS = 20
WRONG = "The e-mail address or the password is wrong."
NO_MAIL = "This server sends no mail. Whoever runs it can print a link: python -m server reset-password"

Fields = Mapping[str, str]
Handler = Callable[[Request[State]], Awaitable[Response]]


async def show_sign_up(request: Request[State]) -> Response:
    return await _page_unless_signed_in(request, "sign_up.html")


async def sign_up(request: Request[State]) -> Response:
    """Makes an account and signs in."""
    fields = await read_form(request)
    runtime = request.state["runtime"]
    wanted = SignUp(fields.get("email", ""), fields.get("name", ""), fields.get("password", ""))
    try:
        await runtime.in_thread(runtime.limits.hit, Bucket.SIGN_UP, address_of(request))
        visit = browser_info_of(request)
        value = await runtime.run(accounts.sign_up, runtime.settings.sign_up, wanted, visit, runtime.mailer)
    except ServiceError as error:
        return await _page(request, "sign_up.html", error, fields)
    return signed_in(request, value, next_of(request, fields))


async def show_sign_in(request: Request[State]) -> Response:
    return await _page_unless_signed_in(request, "sign_in.html")


async def sign_in(request: Request[State]) -> Response:
    """Back to where one came from; a wrong password and an unknown address are told apart by nobody."""
    fields = await read_form(request)
    runtime = request.state["runtime"]
    email, password = fields.get("email", ""), fields.get("password", "")
    try:
        await runtime.in_thread(count, runtime, "sign-in", address_of(request), email)
        value = await runtime.run(sessions.sign_in, email, password, browser_info_of(request))
        if value is None:
            raise Unauthenticated(WRONG)
    except ServiceError as error:
        return await _page(request, "sign_in.html", error, fields)
    return signed_in(request, value, next_of(request, fields))


async def sign_out(request: Request[State]) -> Response:
    """Ends the session here and in the browser."""
    runtime = request.state["runtime"]
    require_same_origin(request, runtime.settings)
    value = request.cookies.get(runtime.settings.session_cookie)
    if value:
        await runtime.run(sessions.sign_out, value)
    response = RedirectResponse("/sign-in", 303)
    _set_cookie(response, runtime, "", 0)
    return response


async def show_forgot_password(request: Request[State]) -> Response:
    return await _page(request, "forgot_password.html", sent=False)


async def forgot_password(request: Request[State]) -> Response:
    """The same answer for every address; what an account brings is done after the answer was sent."""
    fields = await read_form(request)
    runtime, email = request.state["runtime"], fields.get("email", "")
    try:
        names.parse_email(email)
        await runtime.in_thread(count, runtime, "reset", address_of(request), email)
    except ServiceError as error:
        return await _page(request, "forgot_password.html", error, fields, sent=False)
    response = await _page(request, "forgot_password.html", fields=fields, sent=True)
    response.background = BackgroundTask(runtime.run, passwords.ask_reset, email, runtime.mailer)
    return response


async def show_reset_password(request: Request[State]) -> Response:
    if not await request.state["runtime"].read(passwords.is_reset_link, request.path_params["token"]):
        raise LinkEnded
    return await _page(request, "reset_password.html")


async def reset_password(request: Request[State]) -> Response:
    """Sets the password, ends all sessions, signs in here."""
    fields = await read_form(request)
    runtime, token = request.state["runtime"], request.path_params["token"]
    try:
        value = await runtime.run(passwords.reset, token, fields.get("password", ""), browser_info_of(request))
    except LinkEnded:
        raise
    except ServiceError as error:
        return await _page(request, "reset_password.html", error, fields)
    return signed_in(request, value, HOME)


async def show_verify_email(request: Request[State]) -> Response:
    """A button, since mail filters open links too; at once for who is signed in with the account itself."""
    runtime, token = request.state["runtime"], request.path_params["token"]
    user_id = await runtime.read(accounts.verification_owner, token)
    if user_id is None:
        raise LinkEnded
    call = await visitor(request)
    if call is not None and call.principal.user_id == user_id:
        await runtime.run(accounts.verify, token)
        return await _page(request, "verify_email.html", done=True)
    return await _page(request, "verify_email.html", done=False)


async def verify_email(request: Request[State]) -> Response:
    await read_form(request)
    await request.state["runtime"].run(accounts.verify, request.path_params["token"])
    return await _page(request, "verify_email.html", done=True)


async def show_accept_invitation(request: Request[State]) -> Response:
    """What is offered, and to whom; who is not signed in is led there and back."""
    token = request.path_params["token"]
    offer = await request.state["runtime"].read(invitation_answers.show, None, token)
    call = await visitor(request)
    user = await call.read(users.me) if call else None
    return await _page(request, "accept_invitation.html", offer=offer, user=user, token=token)


async def accept_invitation(request: Request[State]) -> Response:
    fields = await read_form(request)
    call = await visitor(request)
    if call is None:
        return RedirectResponse(f"/sign-in?next={quote(request.url.path, safe='')}", 303)
    if fields.get("decision") == "decline":
        await call.run(invitation_answers.decline, request.path_params["token"])
        return go(HOME, "declined")
    await call.run(invitation_answers.accept, request.path_params["token"])
    return go(HOME, "accepted")


async def read_form(request: Request[State]) -> Fields:
    """Return the fields of one of our own forms; the last value of each. Raises Forbidden, and as `wire.read_form`."""
    require_same_origin(request, request.state["runtime"].settings)
    fields = await wire.read_form(request, FORM_LIMIT, MOST_FIELDS)
    return {name: values[-1] for name, values in fields.items()}


def next_of(request: Request[State], fields: Fields) -> str:
    return local_path(fields.get("next") or request.query_params.get("next", ""))


def local_path(text: str) -> str:
    """A path on this site, or the dashboard for anything that a browser could take for another site."""
    is_path = text.startswith("/") and not text.startswith("//")
    return text if is_path and text.isprintable() and "\\" not in text else HOME


def signed_in(request: Request[State], value: str, path: str) -> Response:
    runtime = request.state["runtime"]
    response = RedirectResponse(path, 303)
    _set_cookie(response, runtime, value, runtime.settings.session_days * 24 * 3600)
    return response


def browser_info_of(request: Request[State]) -> BrowserInfo:
    settings = request.state["runtime"].settings
    agent = request.headers.get("user-agent", "")
    return BrowserInfo(settings.session_days, agent, request.cookies.get(settings.session_cookie))


async def visitor(request: Request[State]) -> Call | None:
    """Who is signed in here, if anybody."""
    runtime = request.state["runtime"]
    try:
        principal = await runtime.authenticate(credential_of(request, runtime.settings))
    except (Unauthenticated, Forbidden):
        return None
    return Call(runtime, principal) if principal.is_session else None


def count(runtime: Runtime, what: str, address: str, email: str) -> None:
    """One try from this address, and for this account whether or not there is one. Raises RateLimited.

    Signing in and asking for a link are counted apart: whoever forgot the password has tried some.
    """
    runtime.limits.hit(Bucket.SIGN_IN, what, "address", address)
    runtime.limits.hit(Bucket.SIGN_IN, what, "account", token_hash(names.fold_email(email)))


async def _page_unless_signed_in(request: Request[State], template: str) -> Response:
    if await visitor(request) is not None:
        return RedirectResponse(next_of(request, {}), 303)
    return await _page(request, template)


async def _page(
    request: Request[State],
    template: str,
    problem: ServiceError | None = None,
    fields: Fields | None = None,
    **shown: object,
) -> HTMLResponse:
    """A page; after a refusal with the reason at the field that it is about, and what was typed, but no password."""
    runtime = request.state["runtime"]
    at_field = {}
    if isinstance(problem, Invalid) and problem.field:
        at_field = {problem.field: problem.reason[:1].upper() + problem.reason[1:]}
    typed = {"email": "", "name": ""} | {name: value for name, value in (fields or {}).items() if name != "password"}
    path = next_of(request, fields or {})
    context = {
        "problem": problem.detail if problem and not at_field else None,
        "errors": at_field,
        "typed": typed,
        "query": f"?next={quote(path, safe='/')}" if path != HOME else "",
        "may_sign_up": runtime.settings.sign_up != "closed",
        "no_mail": None if runtime.mailer.is_on else NO_MAIL,
    }
    html = await runtime.in_thread(render, template, context | shown)
    headers = {"Content-Security-Policy": csp.FLOW}
    if isinstance(problem, RateLimited):
        headers["Retry-After"] = str(problem.retry_after)
    return HTMLResponse(html, status_of(problem) if problem else 200, headers)


def _set_cookie(response: Response, runtime: Runtime, value: str, seconds: int) -> None:
    """No seconds: the browser forgets it."""
    settings = runtime.settings
    response.set_cookie(
        settings.session_cookie,
        value,
        max_age=seconds,
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",  # type: ignore[arg-type]  # as RFC 6265bis spells it
    )


def _form(path: str, show: Handler, post: Handler) -> Route:
    """One route for both: a method that is neither is told of both."""

    async def answer(request: Request[State]) -> Response:
        return await (post if request.method == "POST" else show)(request)

    return Route(path, answer, methods=["GET", "POST"])


ROUTES = [
    _form("/sign-up", show_sign_up, sign_up),
    _form("/sign-in", show_sign_in, sign_in),
    Route("/sign-out", sign_out, methods=["POST"]),
    _form("/forgot-password", show_forgot_password, forgot_password),
    _form("/reset-password/{token}", show_reset_password, reset_password),
    _form("/verify-email/{token}", show_verify_email, verify_email),
    _form("/accept-invitation/{token}", show_accept_invitation, accept_invitation),
]
