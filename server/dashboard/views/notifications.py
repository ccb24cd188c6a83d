"""Notifications, and the invitations that wait for the user's answer."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, redirect
from server.domain import notifications
from server.domain.teams import invitation_answers

NOTIFICATIONS = f"{HOME}/notifications"


async def show(request: PageRequest) -> Response:
    newest, _ = await request.call.read(notifications.list_notifications)
    offers = await request.call.read(invitation_answers.list_pending)
    sends_mail = request.call.mailer.is_on
    return await request.render("notifications.html", notifications=newest, offers=offers, sends_mail=sends_mail)


async def mark_read(request: PageRequest) -> Response:
    await request.call.run(notifications.mark_read, request.path_param("notification_id"))
    return redirect(NOTIFICATIONS)


async def mark_all_read(request: PageRequest) -> Response:
    await request.call.run(notifications.mark_all_read)
    return redirect(NOTIFICATIONS, "all-read")


async def answer_invitation(request: PageRequest) -> Response:
    """Accept or decline an invitation to the user's confirmed address."""
    invitation_id = request.path_param("invitation_id")
    if request.text("decision") == "decline":
        await request.call.run(invitation_answers.decline, invitation_id)
        return redirect(NOTIFICATIONS, "declined")
    accepted = await request.call.run(invitation_answers.accept, invitation_id)
    return redirect(f"{HOME}/organizations/{accepted.organization.id}", "accepted")
