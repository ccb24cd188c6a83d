"""Notifications, and the invitations that wait for the user's answer."""

from typing import NamedTuple

from starlette.responses import Response

from server.dashboard.layout import Frame
from server.dashboard.pages import HOME, PageRequest, redirect
from server.domain import notifications
from server.domain.notifications import Notice
from server.domain.people import users
from server.domain.teams import invitation_answers
from server.models import Notification

NOTIFICATIONS = f"{HOME}/notifications"


class LinkedNotification(NamedTuple):
    """A notification, and the page that it is about."""

    row: Notification
    link: str | None


async def show(request: PageRequest) -> Response:
    newest, _ = await request.call.read(notifications.list_from_others)
    actors = {str(one.details["actor_id"]) for one in newest if one.details.get("actor_id")}
    offers = await request.call.read(invitation_answers.list_pending)
    sends_mail = request.call.mailer.is_on
    return await request.render(
        "notifications.html",
        notifications=[LinkedNotification(one, _link(one, await request.frame())) for one in newest],
        actors=await request.call.read(users.names_of, actors),
        offers=offers,
        sends_mail=sends_mail,
    )


async def mark_read(request: PageRequest) -> Response:
    await request.call.run(notifications.mark_read, request.path_param("notification_id"))
    return redirect(NOTIFICATIONS)


async def mark_all_read(request: PageRequest) -> Response:
    await request.call.run(notifications.mark_all_read)
    return redirect(NOTIFICATIONS, "all-read")


def _link(notification: Notification, frame: Frame) -> str | None:
    """Return the link of the notification, if the user has access to it."""
    project_id, organization_id = (
        str(notification.details.get(name, "")) for name in ("project_id", "organization_id")
    )
    if any(entry.project.id == project_id for entry in frame.projects):
        is_about_keys = notification.type in (Notice.KEY_CREATED, Notice.KEY_DELETED)
        return f"{HOME}/projects/{project_id}/{'keys' if is_about_keys else 'members'}"
    if any(entry.project.organization_id == organization_id for entry in frame.projects):
        return f"{HOME}/organizations/{organization_id}"
    return None


async def answer_invitation(request: PageRequest) -> Response:
    """Accept or decline an invitation to the user's confirmed address."""
    invitation_id = request.path_param("invitation_id")
    if request.text("decision") == "decline":
        await request.call.run(invitation_answers.decline, invitation_id)
        return redirect(NOTIFICATIONS, "declined")
    accepted = await request.call.run(invitation_answers.accept, invitation_id)
    return redirect(f"{HOME}/organizations/{accepted.organization.id}/projects", "accepted")
