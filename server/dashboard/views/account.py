"""The user's account: name, password, browser sessions, activity, deletion."""

from sqlmodel import Session
from starlette.responses import Response

from server.dashboard.event_titles import event_title
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import back_to, paginate
from server.dashboard.preferences import PREFERENCES, Preference, chosen_value, remember
from server.dashboard.session_cookies import redirect_signed_in
from server.dashboard.views.entrance import browser_info_of
from server.domain import accounts, addresses, audit
from server.domain.people import identities, passkeys, passwords, second_factors, sessions, users
from server.errors import Invalid
from server.mailer import Mailer
from server.principal import Principal
from server.web import attempts

ACCOUNT = f"{HOME}/account"
EVENTS_PER_PAGE = 20


async def show(request: PageRequest) -> Response:
    before = request.http.query_params.get("before")
    events = await request.call.read(audit.list_own, EVENTS_PER_PAGE + 1, before)
    return await request.render(
        "account.html",
        preferences=[(one, chosen_value(one, request.http.cookies)) for one in PREFERENCES],
        events=[(event, event_title(event.type)) for event in events[:EVENTS_PER_PAGE]],
        has_more=len(events) > EVENTS_PER_PAGE,
        sessions=paginate(request, await request.call.read(sessions.list_own), "sessions"),
        current_session_id=request.call.principal.credential_id,
        sends_mail=request.call.mailer.is_on,
        requested_address=await request.call.read(addresses.requested_change),
        passkeys=await request.call.read(passkeys.list_own),
        identities=await request.call.read(identities.list_own),
        two_factor=await request.call.read(second_factors.status),
    )


async def rename(request: PageRequest) -> Response:
    await request.call.run(users.rename, request.text("name"))
    return redirect(ACCOUNT, "name-saved")


async def change_email(request: PageRequest) -> Response:
    """Mail a link to the new address. The address changes when it is opened."""
    await request.call.run(addresses.request_change, request.text("email"), request.call.mailer)
    return redirect(ACCOUNT, "change-sent")


async def choose(preference: Preference, request: PageRequest) -> Response:
    """Remember the value in the form. Raises Invalid if it is not an option."""
    value = request.text(preference.name)
    if value not in preference.options:
        raise Invalid("choose one of the options.", field=preference.title)
    response = redirect(ACCOUNT, f"{preference.name}-saved")
    remember(response, preference, value, secure=request.call.runtime.settings.is_https)
    return response


async def change_password(request: PageRequest) -> Response:
    """End every session and start a new one in this browser."""
    current, new = request.text("current"), request.text("password")
    browser = browser_info_of(request.http)
    async with attempts.proving(request.call.runtime, request.call.principal.user_id):
        session_value = await request.call.run(passwords.change, current, new, browser, request.call.mailer)
    return await redirect_signed_in(request.http, session_value, f"{ACCOUNT}?done=password-saved", tell=False)


async def end_session(request: PageRequest) -> Response:
    await request.call.run(sessions.revoke, request.path_param("session_id"))
    return redirect(back_to(request, ACCOUNT), "session-ended")


async def verify(request: PageRequest) -> Response:
    """Send another link that confirms the address, unless one was just sent."""
    await request.call.run(send_verification, request.call.mailer)
    return redirect(ACCOUNT, "verification-sent")


async def delete(request: PageRequest) -> Response:
    """Delete the account and the personal organization. This ends all sessions."""
    user = await request.call.read(users.me)
    request.require_confirmation(user.email or "")
    await request.call.run(accounts.delete)
    return redirect("/sign-up", "account-deleted")


def send_verification(session: Session, principal: Principal, mailer: Mailer) -> None:
    addresses.send_verification(session, users.me(session, principal), mailer)
