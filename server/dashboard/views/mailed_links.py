"""The pages behind emailed links: choosing a new password, and confirming an email address."""

from contextlib import nullcontext

from starlette.requests import Request
from starlette.responses import Response

from server import attempts
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
from server.domain import accounts
from server.domain.people import passwords
from server.domain.people.passwords import LinkEnded
from server.errors import ServiceError
from server.runtime import State


async def show_reset_password(request: Request[State]) -> Response:
    return await _reset_page(request)


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
    except LinkEnded:
        raise
    except ServiceError as error:
        return await _reset_page(request, error, fields)
    if reset.ended is None:
        return await continue_sign_in(request, reset.sign_in, HOME, tell=False)
    page = await render_page(request, "reset_done.html", ended=reset.ended, memberships=reset.memberships)
    return await with_session(request, page, reset.sign_in.value, tell=False)


async def show_verify_email(request: Request[State]) -> Response:
    """Verify at once if the link's account is signed in here. Otherwise ask for its password. Opening the link or
    pressing a button proves nothing: mail filters open links too, and somebody else may have signed up with the
    address of the person who reads the letter.
    """
    runtime, token = request.state["runtime"], request.path_params["token"]
    user = await runtime.read(accounts.verification_of, token)
    call = await call_of(request)
    if call is not None and call.principal.user_id == user.id:
        await runtime.run(accounts.verify, token, user.id, "")
        return await render_page(request, "verify_email.html", done=True)
    return await render_page(request, "verify_email.html", done=False, address=user.email)


async def verify_email(request: Request[State]) -> Response:
    """Verify the address for a person who is signed in to the account, or knows its password."""
    fields = await read_form(request)
    runtime, token = request.state["runtime"], request.path_params["token"]
    user = await runtime.read(accounts.verification_of, token)
    call = await call_of(request)
    signed_in_id = call.principal.user_id if call else None
    attempt = nullcontext() if signed_in_id == user.id else attempts.signing_in(request, user.email or "")
    try:
        async with attempt:
            await runtime.run(accounts.verify, token, signed_in_id, fields.get("password", ""))
    except LinkEnded:
        raise
    except ServiceError as error:
        return await render_page(request, "verify_email.html", error, fields, done=False, address=user.email)
    return await render_page(request, "verify_email.html", done=True)


async def _reset_page(
    request: Request[State], problem: ServiceError | None = None, fields: Fields | None = None
) -> Response:
    """Return the form for a password. Its checkbox starts out checked if there is an old password, which others may
    know. Raises LinkEnded.
    """
    reset = await request.state["runtime"].read(passwords.pending_reset, request.path_params["token"])
    end_access = reset.has_password if fields is None else bool(fields.get("end_access"))
    return await render_page(request, "reset_password.html", problem, fields, reset=reset, end_access=end_access)


ROUTES = [
    form_route("/reset-password/{token}", show_reset_password, reset_password),
    form_route("/verify-email/{token}", show_verify_email, verify_email),
]
