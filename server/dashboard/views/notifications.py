"""Notifications, and the invitations that wait for one's answer."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest, go
from server.domain import notifications
from server.domain.teams import invitation_answers

HERE = f"{HOME}/notifications"


async def show(visit: PageRequest) -> Response:
    newest, _ = await visit.call.read(notifications.list_notifications)
    offers = await visit.call.read(invitation_answers.list_pending)
    return await visit.page("notifications.html", notifications=newest, offers=offers)


async def read(visit: PageRequest) -> Response:
    await visit.call.run(notifications.mark_read, visit.path("notification_id"))
    return go(HERE)


async def read_all(visit: PageRequest) -> Response:
    await visit.call.run(notifications.mark_all_read)
    return go(HERE, "all-read")


async def answer(visit: PageRequest) -> Response:
    """Accept or decline an invitation to one's own, confirmed address."""
    if visit.text("decision") == "decline":
        await visit.call.run(invitation_answers.decline, visit.path("invitation_id"))
        return go(HERE, "declined")
    joined = await visit.call.run(invitation_answers.accept, visit.path("invitation_id"))
    return go(f"{HOME}/organizations/{joined.organization.id}", "accepted")
