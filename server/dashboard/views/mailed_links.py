"""The pages behind emailed links: choosing a new password, and confirming an email address."""

from contextlib import nullcontext

from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.pages import HOME
from server.dashboard.session_cookies import continue_sign_in, with_session
from server.dashboard.views.entrance import (
    Fields,
    browser_info_of,
    call_of,
    form_route,
    read_form,
    render_page,
)
from server.domain import accounts, addresses
from server.domain.addresses import Verification
from server.domain.people import passwords
from server.domain.people.passwords import LinkEnded
from server.errors import ServiceError
from server.shell.runtime import State
from server.web import attempts


async def show_reset_password(
    request: Request[State], problem: ServiceError | None = None, fields: Fields | None = None
) -> Response:
    """Return the form for a password. Its checkbox starts out checked if there is an old password, which others may
    know. If the link has ended, return the form that asks for another one.
    """
    try:
        reset = await request.state["runtime"].read(passwords.pending_reset, request.path_params["token"])
    except LinkEnded as error:
        return await render_page(request, "forgot_password.html", error, sent=False)
    end_access = reset.has_password if fields is None else bool(fields.get("end_access"))
    return await render_page(request, "reset_password.html", problem, fields, reset=reset, end_access=end_access)


async def reset_password(request: Request[State]) -> Response:
    """Set the password, end all sessions and sign in here.

    If the account's address was not confirmed before, the page shows what was ended.
    """
    fields = await read_form(request)
    runtime, token = request.state["runtime"], request.path_params["token"]
    try:
        reset = await runtime.run(
            accounts.reset_password,
            token,
            fields.get("password", ""),
            browser_info_of(request),
            runtime.mailer,
            end_access=bool(fields.get("end_access")),
        )
    except ServiceError as error:
        return await show_reset_password(request, error, fields)
    if reset.ended is None:
        return await continue_sign_in(request, reset.sign_in, HOME, tell=False)
    page = await render_page(request, "reset_done.html", ended=reset.ended, memberships=reset.memberships)
    return await with_session(request, page, reset.sign_in.value, tell=False)


async def show_verify_email(request: Request[State]) -> Response:
    """Verify at once if the link's account is signed in here. Otherwise ask for its password. Opening the link or
    pressing a button proves nothing: mail filters open links too, and somebody else may have given the address of the
    person who reads the letter.
    """
    verification = await request.state["runtime"].read(addresses.verification_of, request.path_params["token"])
    signed_in_id = await _signed_in_id(request)
    if signed_in_id == verification.user.id and _is_opened(request):
        return await _verified(request, verification, signed_in_id, "")
    return await _verification_page(request, verification, signed_in_id)


def _is_opened(request: Request[State]) -> bool:
    """Return whether a person opens the page, and no program or browser only looks at it in advance."""
    return request.method == "GET" and not request.headers.get("sec-purpose", "").startswith("prefetch")


async def verify_email(request: Request[State]) -> Response:
    """Verify the address for a person who is signed in to the account, or knows its password."""
    fields = await read_form(request)
    verification = await request.state["runtime"].read(addresses.verification_of, request.path_params["token"])
    user, signed_in_id = verification.user, await _signed_in_id(request)
    attempt = nullcontext() if signed_in_id == user.id else attempts.signing_in(request, user.email or "")
    try:
        async with attempt:
            return await _verified(request, verification, signed_in_id, fields.get("password", ""))
    except LinkEnded:
        raise
    except ServiceError as error:
        return await _verification_page(request, verification, signed_in_id, error, fields)


async def _verified(
    request: Request[State], verification: Verification, signed_in_id: str | None, password: str
) -> Response:
    """Verify the address and return the page that says so, with a new session if the old ones ended."""
    runtime, token = request.state["runtime"], request.path_params["token"]
    browser = browser_info_of(request)
    session_value = await runtime.run(addresses.verify, token, signed_in_id, password, browser, runtime.mailer)
    page = await render_page(
        request, "verify_email.html", done=True, verification=verification, is_signed_in=session_value is not None
    )
    return page if session_value is None else await with_session(request, page, session_value, tell=False)


async def _verification_page(
    request: Request[State],
    verification: Verification,
    signed_in_id: str | None,
    problem: ServiceError | None = None,
    fields: Fields | None = None,
) -> Response:
    return await render_page(
        request,
        "verify_email.html",
        problem,
        fields,
        done=False,
        verification=verification,
        is_signed_in=signed_in_id is not None,
        path=request.url.path,
    )


async def _signed_in_id(request: Request[State]) -> str | None:
    """Return the id of the user who is signed in."""
    call = await call_of(request)
    return call.principal.user_id if call else None


ROUTES = [
    form_route("/reset-password/{token}", show_reset_password, reset_password),
    form_route("/verify-email/{token}", show_verify_email, verify_email),
]
