"""One's own account: name, password, where one is signed in, leaving for good."""

from sqlmodel import Session
from starlette.responses import RedirectResponse, Response

from server.dashboard.pages import HOME, PageRequest, go
from server.dashboard.views.entrance import browser_info_of, signed_in
from server.domain import accounts
from server.domain.people import passwords, sessions, users
from server.limits import Bucket
from server.mail import Mailer
from server.principal import Principal

HERE = f"{HOME}/account"


async def show(visit: PageRequest) -> Response:
    signed = await visit.call.read(sessions.list_own)
    return await visit.page(
        "account.html", sessions=signed, current=visit.call.principal.credential_id, sends_mail=visit.call.mailer.is_on
    )


async def rename(visit: PageRequest) -> Response:
    await visit.call.run(users.rename, visit.text("name"))
    return go(HERE, "name-saved")


async def change_password(visit: PageRequest) -> Response:
    """Every session ends; this browser gets a new one."""
    await _count(visit)
    value = await visit.call.run(
        passwords.change, visit.text("current"), visit.text("password"), browser_info_of(visit.request)
    )
    return signed_in(visit.request, value, f"{HERE}?done=password-saved")


async def end_session(visit: PageRequest) -> Response:
    session_id = visit.path("session_id")
    await visit.call.run(sessions.revoke, session_id)
    return go(HERE, "session-ended")


async def verify(visit: PageRequest) -> Response:
    """Send the link that confirms the address once more."""
    await _count(visit)
    await visit.call.run(send_verification, visit.call.mailer)
    return go(HERE, "verification-sent")


async def delete(visit: PageRequest) -> Response:
    """The account with its personal organization; the browser is signed out with it."""
    user = await visit.call.read(users.me)
    visit.require_typed(user.email or "")
    await visit.call.run(accounts.delete)
    return RedirectResponse("/sign-up", 303)


def send_verification(session: Session, principal: Principal, mailer: Mailer) -> None:
    accounts.send_verification(session, users.me(session, principal), mailer)


async def _count(visit: PageRequest) -> None:
    """Guessing a password, or sending letters, is as limited here as at the door. Raises RateLimited."""
    runtime = visit.call.runtime
    await runtime.in_thread(runtime.limits.hit, Bucket.SIGN_IN, "account", visit.call.principal.user_id)
