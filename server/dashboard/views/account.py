"""The user's account: name, password, browser sessions, deletion."""

from sqlmodel import Session
from starlette.responses import RedirectResponse, Response

from server import attempts
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.session_cookies import signed_in
from server.dashboard.views.entrance import browser_info_of
from server.domain import accounts
from server.domain.people import passwords, sessions, users
from server.mailer import Mailer
from server.principal import Principal

ACCOUNT = f"{HOME}/account"


async def show(request: PageRequest) -> Response:
    return await request.render(
        "account.html",
        sessions=await request.call.read(sessions.list_own),
        current_session_id=request.call.principal.credential_id,
        sends_mail=request.call.mailer.is_on,
    )


async def rename(request: PageRequest) -> Response:
    await request.call.run(users.rename, request.text("name"))
    return redirect(ACCOUNT, "name-saved")


async def change_password(request: PageRequest) -> Response:
    """End every session and start a new one in this browser."""
    current, new = request.text("current"), request.text("password")
    browser = browser_info_of(request.http)
    async with attempts.proving(request.call.runtime, request.call.principal.user_id):
        session_value = await request.call.run(passwords.change, current, new, browser, request.call.mailer)
    return await signed_in(request.http, session_value, f"{ACCOUNT}?done=password-saved", tell=False)


async def end_session(request: PageRequest) -> Response:
    await request.call.run(sessions.revoke, request.path_param("session_id"))
    return redirect(ACCOUNT, "session-ended")


async def verify(request: PageRequest) -> Response:
    """Send another link that confirms the address, if the last one was not sent just now."""
    await request.call.run(send_verification, request.call.mailer)
    return redirect(ACCOUNT, "verification-sent")


async def delete(request: PageRequest) -> Response:
    """Delete the account and the personal organization. This ends all sessions."""
    user = await request.call.read(users.me)
    request.require_confirmation(user.email or "")
    await request.call.run(accounts.delete)
    return RedirectResponse("/sign-up", 303)


def send_verification(session: Session, principal: Principal, mailer: Mailer) -> None:
    accounts.send_verification(session, users.me(session, principal), mailer)
