"""Members of a project: roles, invitations, and adding members of the organization."""

from starlette.responses import Response

from server import attempts
from server.dashboard.fields import parse_choice
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import paginate
from server.dashboard.views.sent_invitation import show_sent
from server.domain.access import governs
from server.domain.grants import connections
from server.domain.teams import invitations, organization_members, project_members
from server.domain.teams.organization_members import Member
from server.errors import NotFound
from server.models import ProjectRole

MAX_CANDIDATES = 100
"""How many members of the organization the list offers. Others can be invited by email address."""


async def show(request: PageRequest) -> Response:
    members = await request.call.read(project_members.list_members, request.project_id)
    pending = await request.call.read(invitations.list_pending_for_project, request.project_id)
    colleagues = await _organization_members(request)
    member_ids = {member.user_id for member in members}
    candidates = [colleague for colleague in colleagues if colleague.user_id not in member_ids]
    manages = (await request.project()).may("manage_members")
    return await request.render(
        "members.html",
        request.project_id,
        members=paginate(request, members),
        pending=pending,
        candidates=candidates[:MAX_CANDIDATES],
        fixed={colleague.user_id for colleague in colleagues if governs(colleague.role)},
        reaching=await request.call.read(connections.list_reaching, request.project_id) if manages else [],
        roles=[role.value for role in ProjectRole],
    )


async def invite(request: PageRequest) -> Response:
    role = parse_choice(ProjectRole, "Role", request.text("role"))
    await attempts.count_invitation(request.http)
    invitation = await request.call.run(
        invitations.invite_to_project, request.project_id, request.text("email"), role, request.call.mailer
    )
    return await show_sent(request.call, invitation, f"{request.project_path}/members")


async def cancel(request: PageRequest) -> Response:
    organization_id = (await request.project()).project.organization_id
    await request.call.run(invitations.cancel, organization_id, request.path_param("invitation_id"))
    return redirect(f"{request.project_path}/members", "invitation-canceled")


async def add(request: PageRequest) -> Response:
    role = parse_choice(ProjectRole, "Role", request.text("role"))
    await request.call.run(project_members.add, request.project_id, request.chosen("user_id", "a member"), role)
    return redirect(f"{request.project_path}/members", "member-added")


async def change_role(request: PageRequest) -> Response:
    role = parse_choice(ProjectRole, "Role", request.text("role"))
    cancelled = await request.call.run(
        project_members.change_role, request.project_id, request.path_param("user_id"), role
    )
    return redirect(f"{request.project_path}/members", "role-changed", invitations=cancelled)


async def remove(request: PageRequest) -> Response:
    """Remove a member. Users who leave are redirected home, because they may have lost access to the project."""
    user_id = request.path_param("user_id")
    removal = await request.call.run(project_members.remove, request.project_id, user_id)
    if user_id == request.call.principal.user_id:
        return redirect(HOME, "left-project", invitations=removal.invitations)
    return redirect(f"{request.project_path}/members", "member-removed", invitations=removal.invitations)


async def _organization_members(request: PageRequest) -> list[Member]:
    """Return the members of the project's organization, or none if the user cannot see them."""
    organization_id = (await request.project()).project.organization_id
    try:
        return await request.call.read(organization_members.list_members, organization_id)
    except NotFound:
        return []
