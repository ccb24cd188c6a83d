"""Who may use a project: roles, invitations, and people of the organization who can be added at once."""

from starlette.responses import Response

from server.dashboard.fields import choice
from server.dashboard.pages import HOME, PageRequest, go
from server.dashboard.pagination import part_of
from server.dashboard.views.invited import Sent, sent
from server.domain.access import governs
from server.domain.teams import invitations, organization_members, project_members
from server.domain.teams.organization_members import Member
from server.errors import NotFound
from server.models import ProjectRole

MOST_OTHERS = 100
"""People to choose from; others of the organization can be invited by their address."""


async def show(visit: PageRequest, invited: Sent | None = None) -> Response:
    project_id = visit.path("project_id")
    members = await visit.call.read(project_members.list_members, project_id)
    waiting = await visit.call.read(invitations.list_pending_for_project, project_id)
    everybody = await _everybody(visit, project_id)
    present = {member.user_id for member in members}
    return await visit.page(
        "members.html",
        project_id,
        members=part_of(visit, members),
        waiting=waiting,
        others=[member for member in everybody if member.user_id not in present][:MOST_OTHERS],
        fixed={member.user_id for member in everybody if governs(member.role)},
        invited=invited,
        roles=[role.value for role in ProjectRole],
    )


async def invite(visit: PageRequest) -> Response:
    """The answer itself shows the link: only its hash is stored."""
    role = choice(ProjectRole, "Role", visit.text("role"))
    made = await visit.call.run(
        invitations.invite_to_project, visit.path("project_id"), visit.text("email"), role, visit.call.mailer
    )
    return await show(visit, await sent(visit.call, made))


async def cancel(visit: PageRequest) -> Response:
    place = await visit.place(visit.path("project_id"))
    await visit.call.run(invitations.cancel, place.project.organization_id, visit.path("invitation_id"))
    return go(f"{visit.project_path}/members", "invitation-cancelled")


async def add(visit: PageRequest) -> Response:
    role = choice(ProjectRole, "Role", visit.text("role"))
    await visit.call.run(project_members.add, visit.path("project_id"), visit.text("user_id"), role)
    return go(f"{visit.project_path}/members", "member-added")


async def change(visit: PageRequest) -> Response:
    role = choice(ProjectRole, "Role", visit.text("role"))
    await visit.call.run(project_members.change_role, visit.path("project_id"), visit.path("user_id"), role)
    return go(f"{visit.project_path}/members", "role-changed")


async def remove(visit: PageRequest) -> Response:
    """Remove a person, or leave: then the project may be out of sight."""
    user_id = visit.path("user_id")
    await visit.call.run(project_members.remove, visit.path("project_id"), user_id)
    if user_id == visit.call.principal.user_id:
        return go(HOME, "left")
    return go(f"{visit.project_path}/members", "member-removed")


async def _everybody(visit: PageRequest, project_id: str) -> list[Member]:
    """The people of the project's organization, for whoever may see them."""
    place = await visit.place(project_id)
    try:
        return await visit.call.read(organization_members.list_members, place.project.organization_id)
    except NotFound:
        return []
